#include "plugins/smtp/relay.h"

#include <algorithm>
#include <utility>

#include <openssl/crypto.h>

namespace opensend::smtp_plugin {
namespace {

constexpr size_t kMaxIdle = 20;
constexpr size_t kMaxServed = 100;
constexpr uint64_t kMaxIdleTime = 30 * kSecond;

}  // namespace

std::unique_ptr<Connection> Pool::Take(uint64_t now) {
    while (true) {
        std::unique_ptr<Connection> connection;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (idle_.empty()) return nullptr;
            connection = std::move(idle_.back());
            idle_.pop_back();
        }
        const bool fresh = now - connection->idle_since <= kMaxIdleTime;
        if (fresh && connection->IsQuiet()) return connection;
        connection->Close(false, {});
    }
}

void Pool::Give(std::unique_ptr<Connection> connection, uint64_t now) {
    if (connection->session().want() != Want::kIdle) return;
    std::vector<std::unique_ptr<Connection>> leaving;
    connection->idle_since = now;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        // The oldest stand in front: those nobody took for long go here, without a thread for it.
        while (!idle_.empty() && now - idle_.front()->idle_since > kMaxIdleTime) {
            leaving.push_back(std::move(idle_.front()));
            idle_.erase(idle_.begin());
        }
        const bool has_room = connection->served < kMaxServed && idle_.size() < kMaxIdle;
        (has_room ? idle_ : leaving).push_back(std::move(connection));
    }
    for (const auto& old : leaving) old->Close(false, {});
}

void Pool::Clear() {
    std::vector<std::unique_ptr<Connection>> leaving;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        leaving.swap(idle_);
    }
    for (const auto& connection : leaving) connection->Close(false, {});
}

void Job::Decide(const Verdict& verdict) {
    for (Verdict& mine : message.verdicts) {
        if (mine.outcome == Outcome::kOpen) mine = verdict;
    }
    message.finished = true;
}

void Job::DecideAs(Outcome outcome, std::string_view text) {
    Verdict verdict;
    verdict.outcome = outcome;
    verdict.text = text;
    Decide(verdict);
}

/// One call of Deliver: walks the jobs, changing the connection where needed.
class Relay::Batch {
public:
    Batch(Relay& relay, Job* jobs, size_t count, const std::function<void(size_t)>& done)
        : relay_(relay), jobs_(jobs), count_(count), done_(done) {}

    void Run() {
        while (at_ < count_) {
            Job& job = jobs_[at_];
            if (connection_ == nullptr || !IsUnderWay(job)) {
                if (IsHopeless(job)) {
                    done_(at_++);
                    continue;
                }
                if (!Connect(job)) return;
                job.message.Rewind();
                Annotate(job);
                if (connection_->served == 0) {
                    job.message.transcript = connection_->session().preamble();
                }
                connection_->session().Begin(job.message);
            }
            FollowWith(at_ + 1);
            connection_->Deliver(job.message, {job.deadline, &job.cancelled, &relay_.stopping_});
            Settle(job);
        }
        if (connection_ != nullptr) relay_.pool_.Give(std::move(connection_), MonotonicNow());
    }

private:
    bool IsUnderWay(const Job& job) const {
        return connection_->session().current() == &job.message;
    }

    bool IsHopeless(Job& job) const {
        if (job.message.finished) return true;
        job.message.Rewind();
        if (job.cancelled.load(std::memory_order_relaxed)) {
            job.DecideAs(Outcome::kCancelled, "cancelled");
        } else if (relay_.stopping_.load(std::memory_order_relaxed)) {
            job.DecideAs(Outcome::kNotTried, "the plugin is stopping");
        } else if (job.deadline != 0 && MonotonicNow() >= job.deadline) {
            job.DecideAs(Outcome::kNotTried, "the deadline passed before the message's turn");
        }
        return job.message.finished;
    }

    /// A connection with an idle session for `job`. False: the whole rest was decided.
    bool Connect(Job& job) {
        if (connection_ != nullptr && connection_->served >= kMaxServed) {
            connection_->Close(false, {});
            connection_ = nullptr;
        }
        if (connection_ != nullptr) return true;
        if (!job.is_retried) connection_ = relay_.pool_.Take(MonotonicNow());
        if (connection_ != nullptr) return true;
        Verdict failure;
        std::string transcript;
        connection_ = relay_.OpenFresh(
            {job.deadline, &job.cancelled, &relay_.stopping_}, failure, transcript
        );
        if (connection_ != nullptr) return true;
        if (job.cancelled.load(std::memory_order_relaxed)) {
            job.DecideAs(Outcome::kCancelled, "cancelled");
            done_(at_++);
            return at_ < count_ ? Connect(jobs_[at_]) : false;
        }
        for (; at_ < count_; ++at_) {
            if (!jobs_[at_].message.finished) {
                jobs_[at_].message.Rewind();
                jobs_[at_].message.transcript = transcript;
                jobs_[at_].Decide(failure);
            }
            done_(at_);
        }
        return false;
    }

    void Annotate(Job& job) const {
        job.remote_address = connection_->remote_address();
        job.tls = connection_->tls_text();
    }

    void FollowWith(size_t next) {
        ClientSession& session = connection_->session();
        const bool busy = session.current() != nullptr && session.follower() == nullptr;
        if (!busy || next >= count_ || connection_->served + 1 >= kMaxServed) return;
        Job& job = jobs_[next];
        if (job.message.finished || job.cancelled.load(std::memory_order_relaxed)) return;
        if (job.deadline != 0 && MonotonicNow() >= job.deadline) return;
        job.message.Rewind();
        Annotate(job);
        session.Follow(job.message);
    }

    void Settle(Job& job) {
        const bool was_reused = connection_->served > 1;
        if (connection_->session().want() == Want::kClosed) connection_ = nullptr;
        if (job.message.untouched && was_reused && !job.is_retried &&
            !job.cancelled.load(std::memory_order_relaxed)) {
            job.is_retried = true;
            job.message.Rewind();
            return;
        }
        done_(at_++);
    }

    Relay& relay_;
    Job* const jobs_;
    const size_t count_;
    const std::function<void(size_t)>& done_;
    std::unique_ptr<Connection> connection_;
    size_t at_ = 0;
};

void Relay::Deliver(Job* jobs, size_t count, const std::function<void(size_t)>& done) {
    Batch(*this, jobs, count, done).Run();
}

std::unique_ptr<Connection> Relay::OpenFresh(
    const Patient& patient, Verdict& failure, std::string& transcript
) {
    std::string username;
    std::string password;
    if (config_.username.is_set() &&
        !(load_secret_(config_.username, username) && load_secret_(config_.password, password))) {
        failure.outcome = Outcome::kDeferred;
        failure.stage = Stage::kAuth;
        failure.hint = Hint::kAuthConfig;
        failure.text = "the credentials cannot be read";
        return nullptr;
    }
    return Connection::Open(
        config_, *tls_, std::move(username), std::move(password), patient, failure, transcript
    );
}

bool Relay::Probe(uint64_t deadline, Verdict& failure) {
    std::string transcript;
    const auto connection = OpenFresh({deadline, nullptr, &stopping_}, failure, transcript);
    if (connection == nullptr) return false;
    connection->Close(true, {deadline, nullptr, &stopping_});
    return true;
}

}  // namespace opensend::smtp_plugin
