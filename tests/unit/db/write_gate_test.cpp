#include "kernel/db/backend/write_gate.h"

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/base/guarded.h"

namespace opensend::db {
namespace {

constexpr base::Duration kLong{10'000'000};

/// Threads that queue at a closed gate one after the other; says in which order they got through.
class Line {
public:
    Line() { EXPECT_TRUE(gate_.Enter(Plane::kDashboard, kLong)); }
    void Add(Plane plane, std::string name) {
        const size_t before = gate_.waiting();
        threads_.push_back(std::async(std::launch::async, [this, plane, name] {
            EXPECT_TRUE(gate_.Enter(plane, kLong));
            order_.With([&](std::string& order) { order += name; });
            gate_.Leave();
        }));
        while (gate_.waiting() == before) std::this_thread::yield();
    }
    std::string Open() {
        gate_.Leave();
        for (auto& thread : threads_) thread.get();
        return order_.With([](const std::string& order) { return order; });
    }
    WriteGate gate_;

private:
    base::Guarded<std::string> order_;
    std::vector<std::future<void>> threads_;
};

TEST(WriteGate, PlanesGoInOrderAndThenWhoCameFirst) {
    Line line;
    line.Add(Plane::kDashboard, "d");
    line.Add(Plane::kEvents, "e");
    line.Add(Plane::kAccept, "a");
    line.Add(Plane::kDeliver, "1");
    line.Add(Plane::kDeliver, "2");
    line.Add(Plane::kAccept, "b");
    EXPECT_EQ(line.Open(), "ab12ed");
}

TEST(WriteGate, NobodyIsPassedOverForEver) {
    Line line;
    line.Add(Plane::kDashboard, "D");
    for (int i = 0; i < 20; ++i) line.Add(Plane::kAccept, "a");
    EXPECT_EQ(line.Open(), std::string(16, 'a') + "D" + std::string(4, 'a'));
}

TEST(WriteGate, WhoGivesUpLeavesTheLine) {
    Line line;
    EXPECT_FALSE(line.gate_.Enter(Plane::kAccept, base::Duration(20'000)));
    EXPECT_EQ(line.gate_.waiting(), 0u);
    line.Add(Plane::kEvents, "e");
    EXPECT_EQ(line.Open(), "e");
    EXPECT_TRUE(line.gate_.Enter(Plane::kEvents, base::Duration(0)));
}

}  // namespace
}  // namespace opensend::db
