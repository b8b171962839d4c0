//! The clients under test behind one trait
