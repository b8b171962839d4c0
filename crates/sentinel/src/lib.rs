//! One Redis Sentinel as a state machine without I/O
