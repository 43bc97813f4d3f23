//! The primitives everything here is built of. Under loom they are loom's, so that the model checker
//! sees every lock and every count.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{Arc, Arc as Owner, Mutex, MutexGuard, Weak};

#[cfg(all(test, loom))]
pub(crate) use self::model::{Owner, Weak};
#[cfg(all(test, loom))]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};

/// loom's `Arc` has no `Weak`. This pair counts owners as `std` does, on loom's atomics, so that an
/// upgrade races with the last owner as it would outside. It differs in one thing: the value goes
/// with the last reference of either kind, not with the last owner.
#[cfg(all(test, loom))]
mod model {
    use std::ops::Deref;

    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    struct Inner<T> {
        owners: AtomicUsize,
        value: T,
    }

    #[derive(Debug)]
    pub(crate) struct Owner<T>(Arc<Inner<T>>);

    #[derive(Debug)]
    pub(crate) struct Weak<T>(Arc<Inner<T>>);

    impl<T> Owner<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Arc::new(Inner {
                owners: AtomicUsize::new(1),
                value,
            }))
        }

        pub(crate) fn downgrade(this: &Self) -> Weak<T> {
            Weak(this.0.clone())
        }
    }

    impl<T> Clone for Owner<T> {
        fn clone(&self) -> Self {
            self.0.owners.fetch_add(1, Ordering::Relaxed);
            Self(self.0.clone())
        }
    }

    impl<T> Deref for Owner<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0.value
        }
    }

    impl<T> Drop for Owner<T> {
        fn drop(&mut self) {
            self.0.owners.fetch_sub(1, Ordering::Release);
        }
    }

    impl<T> Weak<T> {
        pub(crate) fn upgrade(&self) -> Option<Owner<T>> {
            let more = |owners| (owners > 0).then_some(owners + 1);
            let counted = self
                .0
                .owners
                .fetch_update(Ordering::Acquire, Ordering::Relaxed, more);
            counted.is_ok().then(|| Owner(self.0.clone()))
        }

        pub(crate) fn strong_count(&self) -> usize {
            self.0.owners.load(Ordering::Relaxed)
        }

        pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }
}
