"""One conversation between the host and one untrusted worker.

Covers: what frames may come when, serving the code's calls, deadlines, and the bounds on what a worker can make the host do or hold.
Does not cover: starting workers (`launch`), replacing lost ones (`session`), what is known of a step (`steps`). A worker that breaks a rule
is killed, never argued with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from longreach.errors import ProtocolViolation
from longreach.sandbox.arguments import LONGEST_NAME, check_call, frame_bytes, frame_chars
from longreach.sandbox.base import CallFailed, Calls, Foresighted, Handler, Limits
from longreach.sandbox.frames import FrameReader, clean_text, encode, field, parse, whole
from longreach.sandbox.launch import Process
from longreach.sandbox.look_ahead import MOST_GIVEN, LookAhead
from longreach.sandbox.results import StepResult, lost_step, read_result
from longreach.sandbox.scouts import Scouts
from longreach.sandbox.steps import RunningStep
from longreach.sandbox.worker.scouting import SCOUTED

__all__ = ["SNAPSHOT_BYTES", "Conversation", "Frame", "WorkerEnded", "connect"]

Frame = dict[str, Any]
SNAPSHOT_BYTES = 128 << 20
UNREAD_BYTES = 64 << 20  # of answers that the worker has not read: beyond it no more calls are taken
MOST_UNREAD_BYTES = 256 << 20  # of those to calls that were taken before: beyond it the worker is not one that reads
SNAPSHOT_HEADER_BYTES = 1 << 20
OUTSTANDING_BYTES = 64 << 20  # of calls being served: beyond it the worker has to wait
LEAST_WAIT = 0.02  # between two looks at a clock that stands still
EXIT_SECONDS = 0.2
DIGEST_CHARS = 32
REST_SECONDS = 0.02  # after a request until the worker is stopped: the next one may come at once


class WorkerEnded(Exception):
    """The worker closed the stream."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is being served. foresighted: the handler, where it is one that looks ahead; size: bytes of its frame;
    blocks: the code does nothing else meanwhile.
    """

    number: int
    handler: Handler
    foresighted: Foresighted | None
    parameters: Mapping[str, Any]
    size: int
    blocks: bool


class Conversation(asyncio.Protocol):
    """The host's side. All methods belong to the event loop that connected it; one request at a time."""

    def __init__(self, process: Process, calls: Calls, limits: Limits) -> None:
        self.process = process
        self._calls = calls
        self._foresighted = {name: each for name, each in calls.items() if isinstance(each, Foresighted)}
        self._limits = limits
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Frame] | None = None
        self._expected: tuple[str, ...] = ()
        self._blob_of: Frame | None = None
        self._blob_cap = 0
        self._step: RunningStep | None = None
        self._broken: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._worker_waits = False  # it does not read its answers: take no more calls
        self._paused = False
        self._resting: asyncio.TimerHandle | None = None
        self._look_ahead: LookAhead | None = None

    def allow_scouts(self, scouts: Scouts) -> None:
        """From now on calls may be begun before the code makes them."""
        self._look_ahead = LookAhead(scouts, lambda frame: self._write(encode(frame)), self._read_ahead, self._break)

    # The stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the stream is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the stream is closed, by either side."""
        # Its exit status is worth a moment: a process that has just closed the stream is mostly about to end.
        asyncio.get_running_loop().call_later(EXIT_SECONDS, self.process.kill)
        self._break(WorkerEnded("the worker ended"), kill=False)
        if not self._ended.done():
            self._ended.set_result(None)

    def pause_writing(self) -> None:
        """asyncio: the worker does not read."""
        self._worker_waits = True
        self._regulate()

    def resume_writing(self) -> None:
        """asyncio: the worker reads again."""
        self._worker_waits = False
        self._regulate()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes from the worker."""
        if self._broken is None:
            self._reader.feed(data)
            self._take_frames()

    def _regulate(self) -> None:
        """Stop or go on reading, by how much is being served."""
        if self._transport is None or self._transport.is_closing():
            return
        must_wait = self._must_wait()
        if must_wait and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        elif not must_wait and self._paused:
            self._paused = False
            self._transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._take_frames)

    def _must_wait(self) -> bool:
        return self._worker_waits or (self._step is not None and self._step.outstanding > OUTSTANDING_BYTES)

    def _take_frames(self) -> None:
        try:
            while self._broken is None and not self._paused:
                if self._reply is None or self._reply.done():
                    if self._reader.pending:
                        raise ProtocolViolation("it spoke without being asked")
                    return
                payload = self._reader.take(self._cap())
                if payload is None:
                    return
                self._take_payload(payload)
                self._regulate()
        except ProtocolViolation as violation:
            self._break(violation)

    def _cap(self) -> int:
        if self._blob_of is not None:
            return int(self._blob_of["blob"])
        return frame_bytes(self._limits)

    def _take_payload(self, payload: bytes) -> None:
        if self._blob_of is not None:
            frame, self._blob_of = self._blob_of, None
            if len(payload) != frame["blob"]:
                raise ProtocolViolation("a blob has another length than announced")
            self._answer({**frame, "blob": payload})
            return
        frame = parse(payload, frame_chars(self._limits))
        kind = frame["t"]
        if "used" in frame:
            self._take_used(frame)
        if kind in self._expected:
            if "blob" in frame:
                if kind != "snapped":
                    raise ProtocolViolation("a blob came where none belongs")
                whole(frame, "blob", 0, self._blob_cap)
                self._blob_of = frame
            else:
                self._answer(frame)
        elif kind == "call" and self._step is not None:
            self._take_call(self._step, frame, len(payload))
        elif kind == "out" and self._step is not None:
            self._step.take_output(field(frame, "s", str))
        else:
            raise ProtocolViolation("a frame came that does not belong here")

    def _answer(self, frame: Frame) -> None:
        assert self._reply is not None
        if self._reader.pending:
            raise ProtocolViolation("it went on speaking after the last frame")
        self._reply.set_result(frame)

    def _break(self, reason: BaseException, kill: bool = True) -> None:
        if self._broken is not None:
            return
        self._broken = reason
        if kill:
            self.process.kill()
        if self._resting is not None:
            self._resting.cancel()
        if self._look_ahead is not None:
            self._look_ahead.close()
            self._look_ahead = None
        self._calls, self._foresighted = {}, {}  # what serves them holds the context
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(reason)
            self._reply.exception()  # retrieved: whoever waits gets it, and nobody may
        if self._transport is not None:
            self._transport.abort()

    def _write(self, pieces: list[bytes]) -> None:
        # asyncio of Python 3.12 cannot write to one that has seen the end of the stream and is about to say so
        if self._transport is not None and self._broken is None and not self._transport.is_closing():
            self._transport.writelines(pieces)

    @property
    def broken(self) -> bool:
        """Whether the worker is gone."""
        return self._broken is not None

    # Requests

    async def request(
        self, frame: Frame, expected: tuple[str, ...], timeout: float, blob: bytes | None = None
    ) -> Frame:
        """Send a frame outside of a step and wait for its answer; near the end of the time the worker is interrupted.

        Raises `WorkerEnded`, `ProtocolViolation`, ValueError or TypeError for what is not JSON.
        """
        pieces = encode(frame, blob)
        self._blob_cap = frame["cap"] + SNAPSHOT_HEADER_BYTES if "cap" in frame else 0
        reply = self._begin(expected)
        try:
            self._write(pieces)
            await asyncio.wait((reply,), timeout=timeout)
            if not reply.done():
                self.process.interrupt()
                await asyncio.wait((reply,), timeout=self._limits.grace_seconds)
            if not reply.done():
                self._break(WorkerEnded(f"the worker did not answer within {timeout:g} seconds"))
            return reply.result()
        except asyncio.CancelledError:
            self._break(WorkerEnded("cancelled"))
            raise
        finally:
            self._end_request()

    def _end_request(self) -> None:
        self._reply, self._expected = None, ()
        if self._broken is None:
            if self._look_ahead is not None:
                self._look_ahead.stop()
            self._resting = self._loop.call_later(REST_SECONDS, self._freeze)

    def _freeze(self) -> None:
        self._resting = None
        self.process.freeze()

    def _begin(self, expected: tuple[str, ...]) -> asyncio.Future[Frame]:
        if self._broken is not None:
            raise self._broken
        if self._reply is not None:
            raise RuntimeError("one step at a time: this sandbox is busy")
        self._reply = asyncio.get_running_loop().create_future()
        self._expected = expected
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        else:
            self.process.thaw()
        return self._reply

    async def step(self, number: int, code: str, timeout: float) -> StepResult:
        """Run one step. Whatever a handler raises, other than `CallFailed`, ends the step and is raised here."""
        try:
            reply = self._begin(("done",))
        except (WorkerEnded, ProtocolViolation) as reason:
            return await self._lost(reason, ())
        step = self._step = RunningStep(number, self._limits)
        try:
            self._write(encode({"t": "exec", "step": number, "code": code, "timeout": timeout}))
            return await self._watch(step, reply, timeout)
        except asyncio.CancelledError:
            self._break(WorkerEnded("cancelled"))
            raise
        finally:
            self._step = None
            self._end_request()
            self._paused = self._paused and not self._resume()
            if calls := step.cancel_calls():
                await asyncio.wait(calls)

    def _resume(self) -> bool:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return True

    async def _watch(self, step: RunningStep, reply: asyncio.Future[Frame], timeout: float) -> StepResult:
        """Wait for the end of the step: by itself, by the deadline, or because a handler failed."""
        waiting = (reply, step.failure)
        while not (reply.done() or step.failure.done()) and (left := timeout - step.own_time.seconds()) > 0:
            await asyncio.wait(waiting, timeout=max(left, LEAST_WAIT), return_when=asyncio.FIRST_COMPLETED)
        interrupted = not reply.done()
        if interrupted:
            step.cancel_calls()
            self.process.interrupt()
            await asyncio.wait((reply,), timeout=self._limits.grace_seconds)
        if not reply.done():
            self._break(WorkerEnded("killed"))
            if not step.failure.done():
                await self.process.ended()
                message = (
                    f"the step did not stop when it was interrupted after {timeout:g} seconds, so its process was ended"
                )
                return lost_step("killed", message, step.output)
        if step.failure.done():
            raise step.failure.result()
        try:
            return read_result(reply.result(), step.number, step.output, self._limits, interrupted=interrupted)
        except (WorkerEnded, ProtocolViolation) as reason:
            self._break(reason)
            return await self._lost(reason, step.output)

    async def _lost(self, reason: BaseException, streamed: Sequence[str]) -> StepResult:
        """What to say of a step whose worker is gone."""
        how = await self.process.ended()
        if isinstance(reason, ProtocolViolation):
            return lost_step("protocol", f"the session was ended because it broke the protocol: {reason}", streamed)
        return lost_step("died", f"the process that ran the code ended ({how})", streamed)

    # The code's calls

    def _take_call(self, step: RunningStep, frame: Frame, size: int) -> None:
        number = whole(frame, "id", 1, 1 << 53)
        step.take_number(number)
        name = field(frame, "m", str, LONGEST_NAME)
        handler = self._calls.get(name)
        if handler is None:
            raise ProtocolViolation("it called a function that it was not given")
        parameters = clean_text(field(frame, "p", dict))
        step.count(check_call(name, parameters, self._limits.prompt_chars))
        foresighted = self._foresighted.get(name)
        look_ahead = self._look_ahead if frame.get("blocks") is True else None
        call = _Call(number, handler, foresighted, parameters, size, look_ahead is not None)
        if foresighted is not None and self._answer_at_once(step, call, foresighted):
            return
        step.outstanding += size
        step.watch(self._loop.create_task(self._serve(step, call)))
        if foresighted is not None and look_ahead is not None:
            look_ahead.call_blocks(number, foresighted, parameters, frame_bytes(self._limits))

    def _answer_at_once(self, step: RunningStep, call: _Call, handler: Foresighted) -> bool:
        """Answer a call whose answer is there; whether it was."""
        try:
            value = handler.ready(call.parameters)
            if value is None:
                return False
            if call.blocks and self._look_ahead is not None:
                self._look_ahead.call_was_ready(handler, call.parameters)
            pieces = self._encode_answer(call, value)
        except Exception as error:  # noqa: BLE001 - as in `_serve`
            step.fail(error)
        else:
            self._write_answer(pieces)
        return True

    def _encode_answer(self, call: _Call, value: Any) -> list[bytes]:
        """The answer, and with it those to the calls that come next."""
        frame: Frame = {"t": "ret", "id": call.number, "ok": True, "v": value}
        if call.blocks and call.foresighted is not None and self._look_ahead is not None:
            given = self._look_ahead.give(call.foresighted)
            frame |= {"next": given} if given else {}
        return encode(frame)

    def _take_used(self, frame: Frame) -> None:
        """It has made calls whose answers it had."""
        step, handler = self._step, self._foresighted.get(SCOUTED)
        if step is None or handler is None or self._look_ahead is None:
            raise ProtocolViolation("it was given no answers in advance")
        count = whole(frame, "used", 1, MOST_GIVEN)
        step.count(count)
        try:
            self._look_ahead.use(count, handler)
        except ProtocolViolation:
            raise
        except Exception as error:  # noqa: BLE001 - as in `_serve`
            step.fail(error)

    def _read_ahead(self, payload: bytes) -> tuple[str, Mapping[str, Any]]:
        """The digest and the arguments of a call that the code has not made."""
        frame = parse(payload, frame_chars(self._limits))
        parameters: Mapping[str, Any] = clean_text(field(frame, "p", dict))
        check_call(SCOUTED, parameters, self._limits.prompt_chars)
        if self._step is None:
            raise ProtocolViolation("a scout spoke while no step ran")
        self._step.count_foreseen()
        return field(frame, "d", str, DIGEST_CHARS), parameters

    def _write_answer(self, pieces: list[bytes]) -> None:
        self._write(pieces)
        if self._transport is not None and self._transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self._break(
                ProtocolViolation(
                    f"it left {MOST_UNREAD_BYTES >> 20} MB of answers to its calls unread: make fewer at once"
                )
            )

    async def _serve(self, step: RunningStep, call: _Call) -> None:
        try:
            try:
                value = await call.handler(call.parameters)
                pieces = self._encode_answer(call, value)
            except CallFailed as failure:
                error = {"type": "CallFailed", "message": str(failure)}
                pieces = encode({"t": "ret", "id": call.number, "ok": False, "error": error})
        except asyncio.CancelledError:
            if not step.over:  # not by us: something inside the handler was cancelled
                step.fail(asyncio.CancelledError("a handler was cancelled"))
            raise
        except BaseException as error:  # noqa: BLE001 - the strategy's own errors pass through the step to the strategy
            step.fail(error)
        else:
            if self._step is step:
                self._write_answer(pieces)
                if self._look_ahead is not None and call.foresighted is not None:
                    self._look_ahead.answered(call.number, call.foresighted)
        finally:
            step.outstanding -= call.size
            self._regulate()

    # The end

    def abandon(self) -> None:
        """End the worker of a session that nobody closed. From any thread, and also after its event loop has ended."""
        self.process.kill()
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._break, WorkerEnded("its sandbox is gone"))

    async def close(self) -> str:
        """End the worker; how it ended."""
        self._break(WorkerEnded("closed"))
        if self._transport is not None:
            await self._ended
        return await self.process.ended()


async def connect(process: Process, stream: Any, calls: Calls, limits: Limits) -> Conversation:
    """A conversation over this socket, which it takes over."""
    loop = asyncio.get_running_loop()
    stream.setblocking(False)
    _, conversation = await loop.connect_accepted_socket(lambda: Conversation(process, calls, limits), stream)
    return conversation
