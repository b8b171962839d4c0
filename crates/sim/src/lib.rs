//! The world: nodes, links, zones, faults and the event queue, without I/O
