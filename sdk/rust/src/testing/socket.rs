//! Sockets of a target in memory: the test says what listens there.

use crate::Result;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// What listens at a socket: it is given what is said, and answers.
#[derive(Clone)]
pub(crate) struct Socket(Rc<RefCell<Listener>>);

type Listener = dyn FnMut(&str) -> Result<String>;

impl Socket {
    pub(crate) fn new(listener: impl FnMut(&str) -> Result<String> + 'static) -> Self {
        Self(Rc::new(RefCell::new(listener)))
    }

    pub(crate) fn ask(&self, text: &str) -> Result<String> {
        (self.0.borrow_mut())(text)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}
