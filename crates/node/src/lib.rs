//! One Redis data node, master or replica, as a state machine without I/O
