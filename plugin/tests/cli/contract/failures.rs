//! Writing that cannot be finished leaves the repository as it was.
