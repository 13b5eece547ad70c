//! The supervision core: a pure state machine and the driver that runs it against Linux.

pub mod machine;
