#include "kernel/dns/answer_cache.h"

#include <algorithm>
#include <utility>

#include "kernel/base/text.h"

namespace opensend::dns {
namespace {

constexpr uint32_t kLongestLifeS = 300;
constexpr uint32_t kLongestAbsenceS = 30;

}  // namespace

std::string AnswerCache::Key(const std::string& name, RecordType type) {
    return base::Cat(static_cast<int>(type), ' ', name);
}

std::optional<Answers> AnswerCache::Find(const std::string& name, RecordType type) {
    const std::string key = Key(name, type);
    base::MutexLock lock(mutex_);
    const auto at = index_.find(key);
    if (at == index_.end()) return std::nullopt;
    if (at->second->until > clock_.Mono()) return at->second->answers;
    Erase(key);
    return std::nullopt;
}

void AnswerCache::Put(
    const std::string& name, RecordType type, const Answers& answers, uint32_t ttl_s
) {
    const auto life_s = std::min(ttl_s, answers.ok() ? kLongestLifeS : kLongestAbsenceS);
    const std::string key = Key(name, type);
    base::MutexLock lock(mutex_);
    Erase(key);
    if (life_s == 0 || max_entries_ == 0) return;
    while (entries_.size() >= max_entries_) Erase(std::string(entries_.front().key));
    entries_.push_back({key, answers, clock_.Mono() + std::chrono::seconds(life_s)});
    index_[key] = std::prev(entries_.end());
}

void AnswerCache::Forget(const std::string& name) {
    base::MutexLock lock(mutex_);
    for (const auto type :
         {RecordType::kA, RecordType::kAaaa, RecordType::kTxt, RecordType::kMx,
          RecordType::kCname}) {
        Erase(Key(name, type));
    }
}

size_t AnswerCache::size() const {
    base::MutexLock lock(mutex_);
    return entries_.size();
}

void AnswerCache::Erase(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return;
    entries_.erase(at->second);
    index_.erase(at);
}

}  // namespace opensend::dns
