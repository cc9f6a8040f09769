#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernel/base/mutex.h"
#include "kernel/db/batcher.h"
#include "kernel/db/transaction.h"
#include "tests/support/temp_db.h"

namespace opensend::db {
namespace {

constexpr Query kInsert = {
    "bench.insert", "INSERT INTO bench (id, number, body) VALUES ($1, $2, $3)"};
constexpr Query kGet = {"bench.get", "SELECT number, body FROM bench WHERE id = $1"};

std::string MakeId(int64_t number) { return "bench-" + std::to_string(number); }

struct Bench {
    explicit Bench(Dialect dialect) : database(dialect), pool(database.Open()) {
        Transaction tx(*pool, Plane::kAccept, Scope::AllTenants());
        tx.Execute(
            {"",
             "CREATE TABLE bench (id TEXT NOT NULL PRIMARY KEY, number BIGINT NOT NULL, "
             "body {blob} NOT NULL)"},
            {}
        );
        tx.Commit();
    }
    Params NextRow() {
        const int64_t number = ++next;
        return {MakeId(number), number, Blob{std::string(1024, 'x')}};
    }
    void Fill(int64_t rows) {
        std::vector<Params> all;
        for (int64_t i = 0; i < rows; ++i) all.push_back(NextRow());
        Transaction tx(*pool, Plane::kAccept, Scope::AllTenants());
        tx.ChangeEach(kInsert, all);
        tx.Commit();
    }
    test::TempDb database;
    std::unique_ptr<Pool> pool;
    std::atomic<int64_t> next{0};
};

/// One transaction of state.range(0) rows, statement by statement.
void InsertOneByOne(benchmark::State& state, Dialect dialect) {
    Bench bench(dialect);
    for ([[maybe_unused]] const auto& step : state) {
        Transaction tx(*bench.pool, Plane::kAccept, Scope::AllTenants());
        for (int64_t i = 0; i < state.range(0); ++i) tx.Change(kInsert, bench.NextRow());
        tx.Commit();
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// The same by ChangeEach.
void InsertEach(benchmark::State& state, Dialect dialect) {
    Bench bench(dialect);
    for ([[maybe_unused]] const auto& step : state) bench.Fill(state.range(0));
    state.SetItemsProcessed(state.iterations() * state.range(0));
}

void PointRead(benchmark::State& state, Dialect dialect) {
    constexpr int64_t kRows = 20'000;
    Bench bench(dialect);
    bench.Fill(kRows);
    Reader reader(*bench.pool, Scope::AllTenants());
    int64_t number = 0;
    for ([[maybe_unused]] const auto& step : state) {
        number = (number * 7919 + 13) % kRows;
        benchmark::DoNotOptimize(reader.First(kGet, {MakeId(number + 1)}));
    }
    state.SetItemsProcessed(state.iterations());
}

/// Producers that each wait for their row to be durable.
void GroupCommit(benchmark::State& state, Dialect dialect) {
    Bench bench(dialect);
    std::atomic<int64_t> commits{0};
    Batcher<Params> batcher(
        *bench.pool, {"bench", Plane::kAccept, 256, 100'000},
        [&commits](Transaction& tx, std::span<Params* const> rows) {
            ++commits;
            std::vector<Params> all;
            for (const Params* row : rows) all.push_back(*row);
            tx.ChangeEach(kInsert, all);
        }
    );
    constexpr int kRowsEach = 50;
    const auto produce = [&] {
        base::Mutex mutex;
        base::CondVar changed;
        for (int i = 0; i < kRowsEach; ++i) {
            bool durable = false;
            batcher.Submit(
                std::make_shared<Params>(bench.NextRow()),
                [&](const std::exception_ptr& reason) {
                    base::MutexLock lock(mutex);
                    OPENSEND_CHECK(!reason, "the row is stored");
                    durable = true;
                    changed.NotifyOne();
                }
            );
            base::MutexLock lock(mutex);
            while (!durable) changed.Wait(lock);
        }
    };
    for ([[maybe_unused]] const auto& step : state) {
        std::vector<std::thread> producers;
        for (int64_t i = 0; i < state.range(0); ++i) producers.emplace_back(produce);
        for (auto& producer : producers) producer.join();
    }
    const int64_t rows = state.iterations() * state.range(0) * kRowsEach;
    state.SetItemsProcessed(rows);
    state.counters["rows_per_commit"] =
        static_cast<double>(rows) / static_cast<double>(commits.load());
}

void Register(Dialect dialect) {
    const std::string suffix = "/" + test::DialectName(dialect);
    const auto add = [&](const char* name, void (*run)(benchmark::State&, Dialect)) {
        return benchmark::RegisterBenchmark((name + suffix).c_str(), run, dialect)
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
    };
    add("InsertOneByOne", &InsertOneByOne)->Arg(1)->Arg(64);
    add("InsertEach", &InsertEach)->Arg(64)->Arg(256);
    add("PointRead", &PointRead);
    add("GroupCommit", &GroupCommit)->Arg(1)->Arg(64);
}

}  // namespace
}  // namespace opensend::db

int main(int argc, char** argv) {
    using opensend::db::Dialect;
    opensend::db::Register(Dialect::kSqlite);
    if (std::getenv("OPENSEND_TEST_POSTGRES") != nullptr)
        opensend::db::Register(Dialect::kPostgres);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
