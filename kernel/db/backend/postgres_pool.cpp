#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "kernel/db/backend/backend.h"
#include "kernel/db/backend/postgres_session.h"
#include "kernel/db/backend/shelf.h"

namespace opensend::db {
namespace {

constexpr Query kGuardsReady = {
    "",
    "SELECT EXISTS (SELECT 1 FROM pg_class WHERE oid = to_regclass('orgs') AND "
    "relforcerowsecurity) AND " OPENSEND_MAY_TAKE_ROLES};

class PostgresPool final : public Pool {
public:
    explicit PostgresPool(const PoolOptions& options)
        : wait_(options.statement_timeout),
          text_(PostgresConnectionText(options.url.Reveal())),
          shelves_{
              Make(options.accept), Make(options.deliver), Make(options.events),
              Make(options.dashboard)} {}

    Dialect dialect() const override { return Dialect::kPostgres; }
    std::unique_ptr<Lease> Read(Plane plane, const Scope& scope) override;
    std::unique_ptr<Work> Begin(Plane plane, const Scope& scope) override;
    void NoteGuards() override { guarded_ = true; }

    /// Opens one connection, trying again with growing pauses for at most `wait`.
    void Reach(base::Duration wait) {
        const auto deadline = std::chrono::steady_clock::now() + wait;
        std::chrono::steady_clock::duration pause = std::chrono::milliseconds(50);
        for (;;) {
            try {
                auto session = ShelfOf(Plane::kDashboard).Take(wait_);
                guarded_ = IsGuarded(*session);
                ShelfOf(Plane::kDashboard).Give(std::move(session));
                return;
            } catch (const base::Error&) {
                if (std::chrono::steady_clock::now() + pause > deadline) throw;
            }
            std::this_thread::sleep_for(pause);
            pause =
                std::min<std::chrono::steady_clock::duration>(pause * 2, std::chrono::seconds(2));
        }
    }

private:
    using SessionShelf = Shelf<PostgresSession>;
    class Held;
    class ReadLease;
    class WriteWork;

    std::unique_ptr<SessionShelf> Make(int limit) const {
        return std::make_unique<SessionShelf>(
            limit, [text = std::string(text_.Reveal()),
                    limit_us = wait_] { return std::make_unique<PostgresSession>(text, limit_us); }
        );
    }
    SessionShelf& ShelfOf(Plane plane) { return *shelves_.at(static_cast<size_t>(plane) - 1); }

    /// The schema has the roles and policies that scopes need.
    static bool IsGuarded(Session& session) { return session.First(kGuardsReady, {})->Bool(0); }

    const base::Duration wait_;
    std::atomic<bool> guarded_{false};
    const base::Secret text_;
    const std::array<std::unique_ptr<SessionShelf>, 4> shelves_;
};

/// A connection taken from its shelf; a dead one is replaced at both ends.
class PostgresPool::Held {
public:
    Held(SessionShelf& shelf, base::Duration wait) : shelf_(shelf), session_(shelf.Take(wait)) {
        if (session_->IsAlive()) return;
        try {
            Replace();
        } catch (const base::Error&) {
            shelf_.Give(nullptr);
            throw;
        }
    }
    ~Held() {
        if (session_ && !session_->IsAlive()) session_.reset();
        shelf_.Give(std::move(session_));
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    void Replace() {
        session_.reset();
        session_ = shelf_.Open();
    }
    PostgresSession& session() { return *session_; }

private:
    SessionShelf& shelf_;
    std::unique_ptr<PostgresSession> session_;
};

class PostgresPool::ReadLease final : public Lease {
public:
    ReadLease(SessionShelf& shelf, base::Duration wait, const Scope* scope) : held_(shelf, wait) {
        if (scope != nullptr) held_.session().Enter(*scope);
    }
    Session& session() override { return held_.session(); }

private:
    Held held_;
};

class PostgresPool::WriteWork final : public Work {
public:
    WriteWork(SessionShelf& shelf, base::Duration wait, const Scope* scope)
        : held_(std::in_place, shelf, wait) {
        try {
            held_->session().Begin(scope);
        } catch (const base::Error&) {
            if (held_->session().IsAlive()) throw;
            // Nothing was done yet, so a new connection serves as well.
            held_->Replace();
            held_->session().Begin(scope);
        }
    }
    ~WriteWork() override {
        if (held_) held_->session().Rollback();
    }
    Session& session() override {
        OPENSEND_CHECK(held_.has_value(), "no statement follows the commit");
        return held_->session();
    }
    void Commit() override {
        OPENSEND_CHECK(held_.has_value(), "a transaction commits once");
        held_->session().Commit();
        held_.reset();
    }

private:
    std::optional<Held> held_;  // until the commit
};

std::unique_ptr<Pool::Lease> PostgresPool::Read(Plane plane, const Scope& scope) {
    return std::make_unique<ReadLease>(ShelfOf(plane), wait_, guarded_ ? &scope : nullptr);
}

std::unique_ptr<Pool::Work> PostgresPool::Begin(Plane plane, const Scope& scope) {
    return std::make_unique<WriteWork>(ShelfOf(plane), wait_, guarded_ ? &scope : nullptr);
}

}  // namespace

std::unique_ptr<Pool> OpenPostgresPool(PoolOptions options) {
    auto pool = std::make_unique<PostgresPool>(options);
    pool->Reach(options.wait);
    return pool;
}

}  // namespace opensend::db
