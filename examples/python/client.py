#!/usr/bin/env python3
"""A client of dd-procmgrd in Python: what a program does with the control API, one function each.

    client.py list                    processes, page by page, only the fields that are needed
    client.py create NAME COMMAND...  define and start a process, safe to repeat
    client.py wait NAME [SECONDS]     until it is ready
    client.py watch [NAME...]         events as they happen; goes on where it was when the daemon is restarted
    client.py logs NAME               the last lines, and each new one
    client.py stats NAME              memory and CPU, with every process of it
    client.py delete NAME             stop and remove it

The daemon is found at PM_SOCKET, else /run/dd-procmgrd/control.sock; or at PM_HOST (host:port) with the token in the
file PM_TOKEN_FILE.
"""

import os
import pathlib
import sys
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent / "generated"))

import grpc
from google.protobuf import field_mask_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from ddprocmgr.v1 import process_manager_pb2 as pb
from ddprocmgr.v1 import process_manager_pb2_grpc as pb_grpc

# What is safe to ask again by itself: the daemon is being restarted, or is busy for a moment.
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Token(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Sends the token with each call; over TCP that makes a viewer an operator."""

    def __init__(self, token):
        self.header = ("authorization", f"Bearer {token}")

    def _with_token(self, details):
        return details._replace(metadata=[*(details.metadata or []), self.header])

    def intercept_unary_unary(self, call, details, request):
        return call(self._with_token(details), request)

    def intercept_unary_stream(self, call, details, request):
        return call(self._with_token(details), request)


def connect():
    host = os.environ.get("PM_HOST")
    if not host:
        socket = os.environ.get("PM_SOCKET", "/run/dd-procmgrd/control.sock")
        return pb_grpc.ProcessManagerServiceStub(grpc.insecure_channel(f"unix://{os.path.abspath(socket)}"))
    channel = grpc.insecure_channel(host)
    token_file = os.environ.get("PM_TOKEN_FILE")
    if token_file:
        channel = grpc.intercept_channel(channel, Token(pathlib.Path(token_file).read_text().strip()))
    return pb_grpc.ProcessManagerServiceStub(channel)


def list_processes(api):
    request = pb.ListProcessesRequest(
        page_size=100,
        read_mask=field_mask_pb2.FieldMask(paths=["name", "state", "reason", "run.pid"]),
    )
    while True:
        page = api.ListProcesses(request, timeout=5)
        for process in page.processes:
            state = pb.State.Name(process.state).removeprefix("STATE_").lower()
            pid = process.run.pid if process.run.HasField("pid") else "-"
            print(f"{process.name:<24} {state:<10} {pid:>8}  {process.reason}")
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def create(api, name, *command):
    request = pb.CreateProcessRequest(
        name=name,
        definition=pb.ProcessDefinition(
            command=command[0],
            args=pb.StringList(values=command[1:]),
            restart=pb.RESTART_POLICY_ON_FAILURE,
        ),
        start=True,
        # The same id for each try: if the connection breaks, the daemon knows that it did this already.
        request_id=str(uuid.uuid4()),
    )
    for wait in (0.2, 1, 3, None):
        try:
            process = api.CreateProcess(request, timeout=30).process
            print(f"{process.name} ({process.process_id}) runs as pid {process.run.pid}")
            return
        except grpc.RpcError as error:
            if error.code() not in AGAIN or wait is None:
                raise
            time.sleep(wait)


def wait(api, name, seconds="30"):
    request = pb.WaitProcessRequest(name=name, condition=pb.WAIT_CONDITION_READY)
    process = api.WaitProcess(request, timeout=float(seconds)).process
    print(f"{process.name} is ready")


def watch(api, *names):
    """Loses nothing over a restart of this program's connection, and says so when the daemon had to forget events."""
    position, epoch = None, ""
    while True:
        request = pb.WatchEventsRequest(names=names, follow=True, after_sequence=position, epoch=epoch)
        try:
            for part in api.WatchEvents(request, wait_for_ready=True):
                if part.missed:
                    print("(events are missing here)", flush=True)
                for event in part.events:
                    at = event.time.ToDatetime().isoformat(timespec="milliseconds")
                    print(f"{at} {event.sequence} {event.message}", flush=True)
                position, epoch = part.sequence, part.epoch
            return
        except grpc.RpcError as error:
            if error.code() not in AGAIN:
                raise
            print(f"({error.details()}; waiting for the daemon)", flush=True)
            time.sleep(0.5)


def logs(api, name):
    for part in api.StreamLogs(pb.StreamLogsRequest(name=name, lines=10, follow=True)):
        sys.stdout.buffer.write(part.data)
        sys.stdout.buffer.flush()


def stats(api, name):
    answer = api.ListStats(pb.ListStatsRequest(names=[name], members=True), timeout=5)
    for one in answer.stats:
        print(f"{one.name}: {one.processes} processes, {one.resident_bytes >> 10} KiB, {one.cpu.ToTimedelta()} of CPU")
        for member in one.members:
            print(f"  {member.pid:>8} {member.state} {member.resident_bytes >> 10:>8} KiB  {member.command_line}")


def delete(api, name):
    answer = api.DeleteProcess(pb.DeleteProcessRequest(name=name, request_id=str(uuid.uuid4())), timeout=60)
    print(f"{answer.name} is deleted{': ' + answer.note if answer.note else ''}")


def explain(error):
    """The sentence, the way out, and which fields of the request are wrong."""
    print(f"{error.code().name}: {error.details()}", file=sys.stderr)
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        info, wrong, state = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.PreconditionFailure()
        if detail.Unpack(info):
            print(f"  reason: {info.reason}", file=sys.stderr)
            if info.metadata.get("hint"):
                print(f"  hint: {info.metadata['hint']}", file=sys.stderr)
        elif detail.Unpack(wrong):
            for violation in wrong.field_violations:
                print(f"  field {violation.field}: {violation.description}", file=sys.stderr)
        elif detail.Unpack(state):
            for violation in state.violations:
                print(f"  {violation.subject}: {violation.description}", file=sys.stderr)


VERBS = {
    "list": list_processes, "create": create, "wait": wait, "watch": watch,
    "logs": logs, "stats": stats, "delete": delete,
}


def main(arguments):
    if not arguments or arguments[0] not in VERBS:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        VERBS[arguments[0]](connect(), *arguments[1:])
    except grpc.RpcError as error:
        explain(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
