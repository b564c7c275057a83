//! What the engine tells its host.
