//! Settings, and the whole way of lines with them.
