#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/base/clock.h"
#include "kernel/base/mutex.h"

namespace opensend::runtime {

/// At most `capacity` entries; the one that was not used for longest goes first, and each is gone
/// when its time is over. Thread-safe. Values are copied out: store what is cheap to copy.
template <class Key, class Value, class Hash = std::hash<Key>>
class LruCache {
public:
    LruCache(const base::Clock& clock, size_t capacity) : clock_(clock), capacity_(capacity) {
        OPENSEND_CHECK(capacity > 0, "a cache holds something");
    }

    std::optional<Value> Find(const Key& key) {
        const auto now = clock_.Mono();
        base::MutexLock lock(mutex_);
        const auto found = index_.find(key);
        if (found == index_.end()) return std::nullopt;
        if (found->second->until <= now) {
            Remove(found);
            return std::nullopt;
        }
        entries_.splice(entries_.begin(), entries_, found->second);
        return found->second->value;
    }

    /// Replaces what the key had.
    void Put(const Key& key, Value value, std::chrono::nanoseconds life) {
        const auto until = clock_.Mono() + life;
        base::MutexLock lock(mutex_);
        if (const auto found = index_.find(key); found != index_.end()) Remove(found);
        entries_.push_front({key, std::move(value), until});
        index_.emplace(key, entries_.begin());
        if (entries_.size() > capacity_) Remove(index_.find(entries_.back().key));
    }

    void Erase(const Key& key) {
        base::MutexLock lock(mutex_);
        if (const auto found = index_.find(key); found != index_.end()) Remove(found);
    }
    void Clear() {
        base::MutexLock lock(mutex_);
        index_.clear();
        entries_.clear();
    }
    /// Entries whose time is over count until they are looked up or pushed out.
    size_t size() const {
        base::MutexLock lock(mutex_);
        return entries_.size();
    }

private:
    struct Entry {
        Key key;
        Value value;
        base::MonoTime until;
    };
    using Entries = std::list<Entry>;
    using Index = std::unordered_map<Key, typename Entries::iterator, Hash>;

    void Remove(typename Index::iterator at) OPENSEND_REQUIRES(mutex_) {
        const auto entry = at->second;
        index_.erase(at);
        entries_.erase(entry);
    }

    const base::Clock& clock_;
    const size_t capacity_;
    mutable base::Mutex mutex_;
    Entries entries_ OPENSEND_GUARDED_BY(mutex_);  // last used first
    Index index_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::runtime
