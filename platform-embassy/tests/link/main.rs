//! Links of boards, in memory.
