#include <pthread.h>
#include <unistd.h>

#include <cstdlib>

#include <malloc.h>

#include "kernel/base/text.h"
#include "kernel/plugin/worker/calls.h"
#include "kernel/plugin/worker/program/runner.h"
#include "kernel/plugin/worker/program/sandbox.h"
#include "kernel/plugin/worker/sanitizer.h"

// One plugin instance in a process that can do little else. Started by the server with the socket
// and the plugin's file as descriptors; arguments: memory in bytes, 1 for threads.

#if OPENSEND_SANITIZER
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "detect_leaks=0:abort_on_error=1"; }
#endif

namespace {

constexpr size_t kStack = size_t{1} << 20;

void SaveMemory() {
    // Each further arena reserves 64 MB of the address space.
    mallopt(M_ARENA_MAX, 1);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStack);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

}  // namespace

int main(int argc, char** argv) {
    namespace worker = opensend::plugin::worker;
    if (argc != 3) return 2;
    worker::Limits limits;
    limits.memory = static_cast<uint64_t>(opensend::base::ParseInt(argv[1]).value_or(0));
    limits.threads = std::string_view(argv[2]) == "1";
    worker::Separate();
    SaveMemory();
    const auto channel = worker::Channel::Attach(opensend::plugin::Descriptor(worker::kSocketFd));
    if (!channel) return 2;
    worker::Runner runner(*channel);
    if (runner.Load(worker::kPluginFd, limits)) runner.Run();
    // The plugin's own destructors are not ours to run.
    _exit(0);
}
