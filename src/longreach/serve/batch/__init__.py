"""Many questions from a file, their answers into a file. Needs nothing but the base install; a Ray cluster, where asked for, its extra."""

from longreach.serve.batch.answers import Answers
from longreach.serve.batch.places import here
from longreach.serve.batch.questions import Question, read_questions
from longreach.serve.batch.ray_place import on_ray
from longreach.serve.batch.run import BatchOptions, Summary, run_batch
from longreach.serve.batch.standing import Standing, standing_of

__all__ = [
    "Answers",
    "BatchOptions",
    "Question",
    "Standing",
    "Summary",
    "here",
    "on_ray",
    "read_questions",
    "run_batch",
    "standing_of",
]
