#!/bin/sh
# Generates the messages and the stub of the API from the proto file, into generated/ beside this script.
set -eu
cd "$(dirname "$0")"
proto=${1:-../../crates/rpc/proto}
mkdir -p generated
python3 -m grpc_tools.protoc -I "$proto" --python_out=generated --grpc_python_out=generated \
    ddprocmgr/v1/process_manager.proto
