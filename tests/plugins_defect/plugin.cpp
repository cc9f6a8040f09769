#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cfenv>
#include <clocale>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "tests/plugins_defect/defect.h"

namespace defect {
namespace {

/// Runs while the file is being loaded.
__attribute__((constructor)) void AtLoad() {
    if (Is("load.opens")) Crash();
    if (Is("load.signals")) signal(SIGUSR1, SIG_IGN);
    if (Is("load.locale")) std::setlocale(LC_ALL, "C.UTF-8");
    if (Is("load.umask")) umask(0);
    if (Is("load.cwd") && chdir("/") != 0) Crash();
    if (Is("load.environ")) setenv("DEFECT", "1", 1);
    if (Is("load.files") && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) Crash();
    if (Is("load.float")) std::fesetround(FE_UPWARD);
    if (Is("load.threads")) std::thread([] { pause(); }).detach();
    if (Is("load.rlimits")) {
        const rlimit few{64, 64};
        setrlimit(RLIMIT_NOFILE, &few);
    }
    if (Is("load.fast")) {
        const std::clock_t end = std::clock() + CLOCKS_PER_SEC / 5;
        while (std::clock() < end) {
        }
    }
}

osp_status LoadOnce(const osp_host*, osp_error*) noexcept {
    static int times = 0;
    return ++times == 1 ? OSP_OK : OSP_E_STATE;
}

const osp_plugin* Describe() {
    static osp_kind kinds[4];
    static const osp_kind* list[4] = {&kinds[0], &kinds[1], &kinds[2], &kinds[3]};
    static osp_plugin plugin;
    kinds[0] = TransportKind();
    kinds[1] = AuthKind();
    kinds[2] = RateKind();
    kinds[3] = InboundKind();
    if (Is("kind.schema")) kinds[0].config_schema = "{\"type\":";
    if (Is("kind.schema-same")) kinds[0].config_schema = "{\"type\":\"object\"}";
    if (Is("desc.kinds")) std::swap(list[0], list[1]);
    plugin = {};
    plugin.size = Is("desc.size") ? 8 : sizeof plugin;
    plugin.magic = Is("desc.magic") ? 7 : OSP_MAGIC;
    plugin.abi_major = Is("desc.major") ? 2 : OSP_ABI_MAJOR;
    plugin.abi_minor = Is("desc.minors") ? OSP_ABI_MINOR + 1 : OSP_ABI_MINOR;
    plugin.id = Is("desc.id") ? "somebody.else" : "test.defect";
    plugin.version = Is("desc.version") ? "2" : "1";
    plugin.name = plugin.vendor = plugin.license = plugin.homepage = "";
    plugin.kinds = list;
    plugin.n_kinds = 4;
    if (Is("desc.load-twice")) plugin.load = LoadOnce;
    return &plugin;
}

}  // namespace
}  // namespace defect

#define DEFECT_SCHEMA                                                               \
    "{\"type\":\"object\",\"required\":[\"token\"],\"additionalProperties\":false," \
    "\"properties\":{\"token\":{\"$ref\":\"opensend:secret\"}}}"
#define DEFECT_CONFIG "\"config\":{\"token\":{\"$secret\":\"check\"}}"

OSP_MANIFEST(
    0,
    "{\"id\":\"test.defect\",\"version\":\"1\",\"sdk\":\"1.0.0\",\"min_host\":\"1.0\","
    "\"isolation\":[\"inproc\"],\"grants\":{\"http\":[\"https://"
    "api.example:443\"],\"timers\":true},"
    "\"kinds\":[\"" OSP_KIND_TRANSPORT ":defect\",\"" OSP_KIND_AUTH
    ":defect_auth\",\"" OSP_KIND_RATELIMIT ":defect_rate\",\"" OSP_KIND_INBOUND
    ":defect_in\"],"
    "\"config_schema\":{\"defect\":" DEFECT_SCHEMA ",\"defect_auth\":" DEFECT_SCHEMA
    ",\"defect_rate\":" DEFECT_SCHEMA ",\"defect_in\":" DEFECT_SCHEMA
    "},"
    "\"check\":{\"defect\":{" DEFECT_CONFIG "},\"defect_rate\":{" DEFECT_CONFIG
    "},"
    "\"defect_auth\":{" DEFECT_CONFIG
    ",\"credential\":\"Check.right\","
    "\"refused\":[\"Check.a-wrong-one\",\"Other.right\"],"
    "\"keys\":{\"Check\":{\"data\":\"right\",\"subject\":\"key-1\",\"tenant\":\"tenant-1\","
    "\"scope\":\"sending_access\"}}},"
    "\"defect_in\":{" DEFECT_CONFIG
    ",\"request\":{\"method\":\"POST\",\"body\":\"delivery-1\","
    "\"headers\":{\"x-proof\":\"{secret}\"}}}}}"
);

const osp_plugin* osp_plugin_v1(void) OSP_NX {
    static const osp_plugin* const kPlugin = defect::Describe();
    static const osp_plugin* const kAgain = nullptr;
    if (defect::Is("entry.pure") && getppid() == 0) return kAgain;
    if (defect::Is("entry.memory")) defect::Leak(24);
    if (defect::Is("entry.same")) return new osp_plugin(*kPlugin);
    return kPlugin;
}
