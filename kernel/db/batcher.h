#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernel/db/transaction.h"

namespace opensend::db {

/// Group commit: items of one kind from many threads share transactions. One worker thread takes
/// everything that queued while the previous commit ran (at most `max_batch`), calls `apply` in one
/// transaction and commits; there is no timer. When that fails and the batch had several items,
/// each is tried alone, so that one bad item fails alone: `apply` must be repeatable. When no
/// transaction can be begun, all items fail with that reason.
template <class Item>
class Batcher;

/// Untyped core of Batcher; see there.
class BatchWorker {
public:
    struct Entry {
        std::shared_ptr<void> item;
        /// Called on the worker thread after commit with nullptr, or with why the item failed. Must
        /// not throw.
        std::function<void(std::exception_ptr)> done;
    };
    struct Options {
        std::string name;  // of the thread
        Plane plane = Plane::kAccept;
        size_t max_batch = 256;
        size_t max_queue = 100'000;
    };
    using Apply = std::function<void(Transaction&, std::span<Entry>)>;

    BatchWorker(Pool& pool, Options options, Apply apply);
    ~BatchWorker();  // finishes what was queued
    /// False when the queue is full or stopping: nothing was taken, `done` will not be called.
    bool Submit(Entry entry);
    size_t queued() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

template <class Item>
class Batcher {
public:
    using Apply = std::function<void(Transaction&, std::span<Item* const>)>;

    Batcher(Pool& pool, BatchWorker::Options options, Apply apply)
        : worker_(
              pool,
              std::move(options),
              [apply = std::move(apply)](Transaction& tx, std::span<BatchWorker::Entry> entries) {
                  std::vector<Item*> items;
                  items.reserve(entries.size());
                  for (const auto& entry : entries)
                      items.push_back(static_cast<Item*>(entry.item.get()));
                  apply(tx, items);
              }
          ) {}

    /// Takes `item`; `done` gets the item back after the commit, or with the reason of the failure.
    bool Submit(std::shared_ptr<Item> item, std::function<void(std::exception_ptr)> done) {
        return worker_.Submit({std::move(item), std::move(done)});
    }
    size_t queued() const { return worker_.queued(); }

private:
    BatchWorker worker_;
};

}  // namespace opensend::db
