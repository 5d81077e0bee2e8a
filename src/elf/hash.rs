//! Maps and sets with a hash that is fast for short keys and has a new random seed in each process,
//! so that no file can force collisions.

use foldhash::fast::RandomState;

/// Hash map.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
/// Hash set.
pub(super) type HashSet<T> = std::collections::HashSet<T, RandomState>;
