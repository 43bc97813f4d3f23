//! What waits on behalf of the worker: each operation is one task that settles once.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;

use crate::{
    command::{Command, Outcome},
    error::{ErrorData, Result},
    executor::Executor,
    slab::{Key, Slab},
    transport::Network,
};

/// One that has not settled.
#[derive(Clone, Copy, Default)]
struct Waiting {
    task: Key,
    /// The handle it watches; 0 for none.
    owner: Key,
}

/// Operations that have not settled.
#[derive(Clone, Default)]
pub(crate) struct Operations {
    network: Network,
    waiting: Rc<RefCell<Slab<Waiting>>>,
}

impl Operations {
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            waiting: Rc::default(),
        }
    }

    /// Run `work` as a task and settle with what it returns.
    pub(crate) fn start(
        &self,
        executor: &mut Executor,
        work: impl Future<Output = Result<Outcome>> + 'static,
    ) -> f64 {
        self.start_with(executor, |settle| async move { settle.done(work.await) })
    }

    /// Run a task that settles when it sees fit and may go on after that.
    pub(crate) fn start_with<W>(
        &self,
        executor: &mut Executor,
        make: impl FnOnce(Settle) -> W,
    ) -> f64
    where
        W: Future<Output = ()> + 'static,
    {
        let operation = self.waiting.borrow_mut().insert(Waiting::default());
        let settle = Settle {
            operation,
            operations: self.clone(),
        };
        let task = executor.spawn(make(settle));
        if let Some(slot) = self.waiting.borrow_mut().get_mut(operation) {
            slot.task = task;
        }
        operation as f64
    }

    /// Drop the task of an operation that has not settled. No effect otherwise: settling and cancelling may cross.
    pub(crate) fn cancel(&self, executor: &mut Executor, operation: Key) {
        let found = self.waiting.borrow_mut().remove(operation);
        if let Some(found) = found {
            executor.cancel(found.task);
        }
    }

    /// This operation watches the object behind a handle.
    pub(crate) fn own(&self, operation: Key, owner: Key) {
        if let Some(waiting) = self.waiting.borrow_mut().get_mut(operation) {
            waiting.owner = owner;
        }
    }

    /// The handle was freed: settle what watches it.
    pub(crate) fn abandon(&self, executor: &mut Executor, owner: Key) {
        let watching: Vec<(Key, Key)> = {
            let waiting = self.waiting.borrow();
            let watching = waiting.iter().filter(|(_, waiting)| waiting.owner == owner);
            watching
                .map(|(operation, waiting)| (operation, waiting.task))
                .collect()
        };
        for (operation, task) in watching {
            executor.cancel(task);
            let settle = Settle {
                operation,
                operations: self.clone(),
            };
            settle.done(Err(ErrorData::freed()));
        }
    }

    /// Drop all of them with their tasks: one that holds what it waits for would never end by itself.
    pub(crate) fn clear(&self, executor: &mut Executor) {
        let waiting = self.waiting.borrow_mut().drain();
        for one in waiting {
            executor.cancel(one.task);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }
}

/// The right to settle one operation, once.
pub(crate) struct Settle {
    operation: Key,
    operations: Operations,
}

impl Settle {
    /// The task of the operation, for what it leaves behind when it goes on after settling.
    pub(crate) fn task(&self) -> Key {
        self.operations
            .waiting
            .borrow()
            .get(self.operation)
            .map_or(0, |waiting| waiting.task)
    }

    pub(crate) fn done(self, result: Result<Outcome>) {
        if self
            .operations
            .waiting
            .borrow_mut()
            .remove(self.operation)
            .is_none()
        {
            return;
        }
        let outcome = result.unwrap_or_else(|error| Outcome::Error(error.to_bytes()));
        self.operations.network.commands(|commands| {
            commands.push(Command::Settle {
                operation: self.operation,
                outcome,
            });
        });
    }
}

/// A result as JSON.
pub(crate) fn json(text: String) -> Outcome {
    Outcome::Json(Bytes::from(text))
}

/// An error that is the result of an operation rather than its failure.
pub(crate) fn error_value(error: &ErrorData) -> Outcome {
    Outcome::Json(error.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(network: &Network) -> Vec<Key> {
        network
            .commands(crate::command::Commands::take)
            .into_iter()
            .map(|command| match command {
                Command::Settle { operation, .. } => operation,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn an_operation_settles_once() {
        let network = Network::default();
        let operations = Operations::new(network.clone());
        let mut executor = Executor::default();
        let operation = operations.start(&mut executor, async { Ok(Outcome::Done) });
        executor.run(|| false);
        assert_eq!(settled(&network), [operation as Key]);
        operations.cancel(&mut executor, operation as Key);
        executor.run(|| false);
        assert!(settled(&network).is_empty());
        assert_eq!((operations.len(), executor.len()), (0, 0));
    }

    #[test]
    fn a_cancelled_operation_never_settles_and_its_task_is_gone() {
        let network = Network::default();
        let operations = Operations::new(network.clone());
        let mut executor = Executor::default();
        let held = Rc::new(());
        let kept = held.clone();
        let operation = operations.start(&mut executor, async move {
            let _kept = kept;
            std::future::pending().await
        });
        executor.run(|| false);
        operations.cancel(&mut executor, operation as Key);
        assert_eq!(Rc::strong_count(&held), 1, "released in the same turn");
        executor.run(|| false);
        assert!(settled(&network).is_empty());
    }
}
