#include "kernel/runtime/reload_list.h"

#include <stdexcept>

#include <gmock/gmock.h>

namespace opensend::runtime {
namespace {

TEST(ReloadList, EveryEntryRunsAndSpeaksForItself) {
    ConfigSources sources;
    sources.file = "/dev/null";
    sources.may_write = false;
    const auto config = Config::Load(sources);
    ASSERT_TRUE(config.ok()) << FormatProblems(config.error());
    std::vector<std::string> order;
    ReloadList list;
    list.Add("first", [&](const Config&) {
        order.emplace_back("first");
        return std::vector<std::string>{"one", "two"};
    });
    list.Add("second", [&](const Config&) -> std::vector<std::string> {
        order.emplace_back("second");
        throw std::runtime_error("broken");
    });
    list.Add("third", [&](const Config&) {
        order.emplace_back("third");
        return std::vector<std::string>();
    });
    EXPECT_THAT(
        list.Run(*config), testing::ElementsAre("first: one", "first: two", "second: broken")
    );
    EXPECT_THAT(order, testing::ElementsAre("first", "second", "third"));
}

}  // namespace
}  // namespace opensend::runtime
