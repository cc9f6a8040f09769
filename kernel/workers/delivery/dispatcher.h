#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/base/guarded.h"
#include "kernel/base/random.h"
#include "kernel/crypto/keyring.h"
#include "kernel/db/batcher.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/model/transport.h"
#include "kernel/runtime/worker.h"
#include "kernel/workers/delivery/mail_builder.h"
#include "kernel/workers/delivery/outcome_journal.h"
#include "kernel/workers/delivery/outcome_recorder.h"
#include "kernel/workers/delivery/pacer.h"
#include "kernel/workers/delivery/route_planner.h"

namespace opensend::delivery {

/// Sends what is due: claims recipients under leases, decides per recipient, commits the attempt,
/// hands messages to transports in batches and records what came of them
/// (platform.md 9.3–9.5, 9.13).
class Dispatcher {
public:
    struct Options {
        DeliveryPolicy policy;
        base::Duration lease{std::chrono::seconds(120)};
        int claim_batch = 100;
        size_t max_in_flight = 1000;
        bool single_process = true;  // SQLite: leases of other owners are dead at start
        std::string journal_path;    // <data_dir>/outcomes.log
        std::map<std::string, Pace> paces;
    };
    struct Deps {
        db::Pool& pool;
        RoutePlanner& routes;
        /// Null when the transport is not up.
        std::function<model::Transport*(const std::string&)> find_transport;
        MailBuilder& builder;
        base::UuidSource& ids;
        base::Random& random;
        const base::Clock& clock;
        std::function<void()> wake_sequencer;
    };
    Dispatcher(Deps deps, Options options);
    ~Dispatcher();  // claims nothing new, waits for what is out

    /// There is new mail. Any thread.
    void Wake();
    /// Other paces from now on. Any thread.
    void SetPaces(std::map<std::string, Pace> paces) { pacer_.SetPaces(std::move(paces)); }
    size_t in_flight() const { return in_flight_.load(); }

private:
    struct Batch;
    void ClaimLoop(runtime::StopToken& stop);
    void Tend(runtime::StopToken& stop);
    void RenewLeases();
    void Reap(bool at_start);
    bool ClaimOnce();
    void Decide(const std::shared_ptr<ClaimedRecipient>& work, Batch& batch);
    void SendBatch(Batch& batch);
    void HandOver(
        model::Transport& transport,
        std::vector<std::shared_ptr<ClaimedRecipient>> work,
        std::vector<std::shared_ptr<const model::OutgoingMessage>> messages
    );
    void Record(Outcome outcome);
    void Keep(const Outcome& outcome);
    void ReplayJournal();
    void StoreKept(const std::vector<JournalEntry>& entries);
    void Finished(const ClaimedRecipient& work);
    Outcome FromResult(
        const std::shared_ptr<ClaimedRecipient>& work, const model::DeliveryOutcome& result
    );
    double Random01();

    Deps deps_;
    Options options_;
    std::string owner_;
    OutcomeRecorder recorder_;
    OutcomeJournal journal_;
    std::atomic<size_t> in_flight_{0};
    std::atomic<bool> stopping_{false};
    Pacer pacer_;
    base::Guarded<std::map<queue::Lane, std::string>> turns_;  // tenants served last
    base::Guarded<std::map<int64_t, size_t>> fences_;          // leases with rows out
    std::unique_ptr<db::Batcher<Outcome>> outcomes_;
    std::unique_ptr<runtime::Worker> tender_;
    std::vector<std::unique_ptr<runtime::Worker>> claimers_;
};

}  // namespace opensend::delivery
