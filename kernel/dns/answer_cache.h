#pragma once

#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel/base/clock.h"
#include "kernel/base/mutex.h"
#include "kernel/base/result.h"
#include "kernel/dns/record.h"

namespace opensend::dns {

using Answers = base::Result<std::vector<Record>, LookupFailure>;

/// Answers and absences until their time is over. The oldest leaves when it is full. Thread-safe.
class AnswerCache {
public:
    AnswerCache(const base::Clock& clock, size_t max_entries)
        : clock_(clock), max_entries_(max_entries) {}
    std::optional<Answers> Find(const std::string& name, RecordType type);
    /// Lives `ttl_s`, at most five minutes (absences: 30 s); zero keeps nothing.
    void Put(const std::string& name, RecordType type, const Answers& answers, uint32_t ttl_s);
    void Forget(const std::string& name);
    size_t size() const;

private:
    struct Entry {
        std::string key;
        Answers answers;
        base::MonoTime until;
    };
    static std::string Key(const std::string& name, RecordType type);
    void Erase(const std::string& key) OPENSEND_REQUIRES(mutex_);
    const base::Clock& clock_;
    const size_t max_entries_;
    mutable base::Mutex mutex_;
    std::list<Entry> entries_ OPENSEND_GUARDED_BY(mutex_);  // oldest first
    std::unordered_map<std::string, std::list<Entry>::iterator> index_ OPENSEND_GUARDED_BY(mutex_);
};

}  // namespace opensend::dns
