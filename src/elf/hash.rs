//! Maps and sets with a hash that is fast for short keys and seeded anew in each process, so that no file can be made to collide.

use foldhash::fast::RandomState;

/// A map.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
/// A set.
pub(super) type HashSet<T> = std::collections::HashSet<T, RandomState>;
