// The document of the real listener, held against its router.
#include "kernel/api/openapi.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <set>

#include <gmock/gmock.h>

#include "kernel/app/api_plane.h"
#include "kernel/json/value.h"
#include "kernel/plugin/scan/scan.h"
#include "tests/unit/runtime/config_fixture.h"

namespace opensend::app {
namespace {

/// A port of loopback that nothing listens on.
uint16_t FreePort() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* name = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd, name, size), 0);
    EXPECT_EQ(::getsockname(fd, name, &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
}

class ListenerDocumentTest : public runtime::ConfigFixture {
protected:
    ListenerDocumentTest() {
        Env("OPENSEND_PLUGINS__DIR", OPENSEND_TEST_PLUGINS);
        sources_.set = {"api.bind=127.0.0.1"};
        Env("PORT", base::Cat(FreePort()));
    }
};

TEST_F(ListenerDocumentTest, HoldsExactlyTheRoutesOfTheRouter) {
    const runtime::Config config = Load();
    Shared shared(config, Storage::Migrations::kApply);
    health::HealthMonitor monitor(*shared.storage.pool, [] {
        return std::vector<health::Check>();
    });
    health::HealthApi health(monitor, {[] { return std::vector<health::Job>(); }, "", ""});
    ApiPlane plane(shared, health, Wakes{[] {}, [] {}, [] {}, [] {}});

    std::set<std::string> routed;
    for (const api::MountedRoute& route : plane.router().routes()) {
        routed.insert(base::Cat(api::ToText(route.method), ' ', route.path));
    }
    const std::string text =
        api::OpenApiText(plane.router().routes(), EmbeddedSchemas(), "http://localhost");
    const auto document = json::Document::Parse(text);
    ASSERT_TRUE(document.ok());
    std::set<std::string> documented;
    const json::Value paths = document->root().Find("paths");
    for (size_t i = 0; i < paths.size(); ++i) {
        std::string path(paths.NameAt(i));
        path = base::ReplaceAll(base::ReplaceAll(path, "{", ":"), "}", "");
        for (size_t k = 0; k < paths.MemberAt(i).size(); ++k) {
            const std::string method = base::AsciiUpper(paths.MemberAt(i).NameAt(k));
            documented.insert(base::Cat(method, ' ', path));
        }
    }
    EXPECT_THAT(documented, testing::ElementsAreArray(routed));
    EXPECT_THAT(routed, testing::Contains("GET /openapi.json"));
    EXPECT_GT(routed.size(), 50u);
    plane.Stop(std::chrono::milliseconds(0));
}

}  // namespace
}  // namespace opensend::app

/// The gate of plugins starts this program again to load each file once, as it does the server.
int main(int argc, char** argv) {
    if (argc > 2 && std::string_view(argv[2]) == "scan-worker") opensend::plugin::ScanMain();
    testing::InitGoogleMock(&argc, argv);
    return RUN_ALL_TESTS();
}
