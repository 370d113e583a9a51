//! Diagnoses: facts in, verdict out. What is asked of clusters, and how, is the caller's business.

pub mod chain;
pub mod clb_access;
