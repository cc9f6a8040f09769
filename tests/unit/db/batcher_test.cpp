#include "kernel/db/batcher.h"

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

struct Item {
    std::string id;
};

class BatcherOnBoth : public OnBoth {
protected:
    using Outcome = std::future<void>;

    static Outcome Submit(Batcher<Item>& batcher, const std::string& id) {
        auto promise = std::make_shared<std::promise<void>>();
        Outcome outcome = promise->get_future();
        const bool taken =
            batcher.Submit(std::make_shared<Item>(Item{id}), [promise](std::exception_ptr reason) {
                if (reason) {
                    promise->set_exception(reason);
                } else {
                    promise->set_value();
                }
            });
        EXPECT_TRUE(taken);
        return outcome;
    }
    Batcher<Item>::Apply Apply() {
        return [this](Transaction& tx, std::span<Item* const> items) {
            ++batches_;
            if (gate_) gate_->get_future().wait();
            gate_.reset();
            std::vector<Params> rows;
            for (const Item* item : items) {
                if (item->id == "bad") throw std::runtime_error("bad item");
                rows.push_back({item->id});
            }
            tx.ChangeEach({"items.batch", "INSERT INTO items (id) VALUES ($1)"}, rows);
        };
    }

    std::atomic<int> batches_{0};
    std::shared_ptr<std::promise<void>> gate_;  // holds the first batch
};
OPENSEND_ON_BOTH(BatcherOnBoth);

TEST_P(BatcherOnBoth, WhatQueuesDuringACommitSharesTheNext) {
    const auto gate = std::make_shared<std::promise<void>>();
    gate_ = gate;
    Batcher<Item> batcher(*pool_, {"batch", Plane::kAccept, 256, 1000}, Apply());
    std::vector<Outcome> outcomes;
    outcomes.push_back(Submit(batcher, "first"));
    while (batches_ == 0) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) outcomes.push_back(Submit(batcher, std::to_string(i)));
    EXPECT_EQ(batcher.queued(), 100u);
    gate->set_value();
    for (Outcome& outcome : outcomes) outcome.get();
    EXPECT_EQ(batches_, 2);
    EXPECT_EQ(CountItems(), 101);
}

TEST_P(BatcherOnBoth, ABadItemFailsAlone) {
    const auto gate = std::make_shared<std::promise<void>>();
    gate_ = gate;
    Batcher<Item> batcher(*pool_, {"batch", Plane::kAccept, 256, 1000}, Apply());
    Outcome first = Submit(batcher, "first");
    while (batches_ == 0) std::this_thread::yield();
    Outcome good = Submit(batcher, "good");
    Outcome bad = Submit(batcher, "bad");
    Outcome twice = Submit(batcher, "first");
    Outcome last = Submit(batcher, "last");
    gate->set_value();
    first.get();
    good.get();
    EXPECT_THROW(bad.get(), std::runtime_error);
    EXPECT_EQ(CodeOf([&] { twice.get(); }), base::ErrorCode::kConflict);
    last.get();
    EXPECT_EQ(CountItems(), 3);
}

TEST_P(BatcherOnBoth, AFullQueueTakesNothing) {
    const auto gate = std::make_shared<std::promise<void>>();
    gate_ = gate;
    Batcher<Item> batcher(*pool_, {"batch", Plane::kAccept, 256, 2}, Apply());
    std::vector<Outcome> outcomes;
    outcomes.push_back(Submit(batcher, "0"));
    while (batches_ == 0) std::this_thread::yield();
    outcomes.push_back(Submit(batcher, "1"));
    outcomes.push_back(Submit(batcher, "2"));
    bool called = false;
    EXPECT_FALSE(batcher.Submit(
        std::make_shared<Item>(Item{"3"}), [&called](const std::exception_ptr&) { called = true; }
    ));
    gate->set_value();
    for (Outcome& outcome : outcomes) outcome.get();
    EXPECT_FALSE(called);
    EXPECT_EQ(CountItems(), 3);
}

TEST_P(BatcherOnBoth, TheEndFinishesWhatWasQueued) {
    std::vector<Outcome> outcomes;
    {
        Batcher<Item> batcher(*pool_, {"batch", Plane::kAccept, 16, 1000}, Apply());
        for (int i = 0; i < 200; ++i) outcomes.push_back(Submit(batcher, std::to_string(i)));
    }
    for (Outcome& outcome : outcomes) outcome.get();
    EXPECT_EQ(CountItems(), 200);
    EXPECT_GE(batches_, 200 / 16);
}

TEST_P(BatcherOnBoth, WithoutADatabaseEveryItemLearnsWhy) {
    PoolOptions options = db_.options();
    options.accept = 1;
    options.statement_timeout = base::Duration(150'000);
    const auto pool = Pool::Open(std::move(options));
    const auto held = std::make_unique<Transaction>(*pool, Plane::kAccept, Scope::AllTenants());
    std::vector<Outcome> outcomes;
    Batcher<Item> batcher(*pool, {"batch", Plane::kAccept, 256, 1000}, Apply());
    for (int i = 0; i < 20; ++i) outcomes.push_back(Submit(batcher, std::to_string(i)));
    for (Outcome& outcome : outcomes)
        EXPECT_EQ(CodeOf([&] { outcome.get(); }), base::ErrorCode::kUnavailable);
    EXPECT_EQ(batches_, 0);
}

}  // namespace
}  // namespace opensend::db
