#include <dlfcn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <iterator>

#include <linux/seccomp.h>

#include "kernel/plugin/check/state.h"
#include "kernel/plugin/check/trial.h"
#include "kernel/plugin/load/import.h"
#include "kernel/plugin/load/note.h"

namespace opensend::plugin_check {
namespace loading_family {
namespace {

void Opens(Trial& trial) { trial.handle(); }

void OpensFast(Trial& trial) {
    const auto cpu_ns = [] {
        timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    };
    const int64_t before = cpu_ns();
    trial.handle();
    const int64_t ms = (cpu_ns() - before) / 1'000'000;
    Require(ms < 100, base::Cat("loading took ", ms, " ms of processor time"));
}

template <std::string (*look)()>
void OpensWithout(Trial& trial) {
    const std::string before = look();
    trial.handle();
    trial.plugin();
    const std::string after = look();
    Require(before == after, base::Cat("before: ", before, "; after: ", after));
}

void EntryPresent(Trial& trial) {
    Require(dlsym(trial.handle(), "osp_plugin_v1") != nullptr, "it is not exported");
}

using EntryFunction = const osp_plugin* (*)() noexcept;
EntryFunction EntryOf(Trial& trial) {
    void* symbol = dlsym(trial.handle(), "osp_plugin_v1");
    if (symbol == nullptr) throw NotHere{"needs entry.present"};
    return reinterpret_cast<EntryFunction>(symbol);
}

void EntrySame(Trial& trial) {
    const EntryFunction entry = EntryOf(trial);
    const osp_plugin* first = entry();
    Require(first != nullptr, "it returned null");
    Require(first == entry(), "the second call returned another address");
}

void EntryPure(Trial& trial) {
    const EntryFunction entry = EntryOf(trial);
    const pid_t child = fork();
    if (child == 0) {
        // From here on the kernel ends this process at any system call but read, write and exit.
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) syscall(SYS_exit, 7);
        entry();
        entry();
        syscall(SYS_exit, 0);
    }
    int status = 0;
    Require(child > 0 && waitpid(child, &status, 0) == child, "no child process");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 7) throw NotHere{"seccomp is not to be had"};
    Require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it made a system call");
}
void EntryKeepsNothing(Trial& trial) {
    const EntryFunction entry = EntryOf(trial);
    entry();
    const size_t before = HeapBytes();
    for (int i = 0; i < 100; ++i) entry();
    Require(HeapBytes() < before + 1000, "each call keeps memory");
}
void Unmaps(Trial& trial) {
    trial.plugin();
    trial.Close();
    std::ifstream maps("/proc/self/maps");
    const std::string all((std::istreambuf_iterator<char>(maps)), {});
    Require(all.find(trial.target.path) == std::string::npos, "it stays mapped after dlclose()");
}

osp_plugin Descriptor(Trial& trial) {
    const osp_plugin* source = EntryOf(trial)();
    osp_plugin out{};
    if (!plugin::Import(source, OPENSEND_SIZE_THROUGH(osp_plugin, n_kinds), out))
        throw NotHere{"needs desc.size"};
    return out;
}

void DescriptorSize(Trial& trial) {
    osp_plugin out{};
    Require(
        plugin::Import(EntryOf(trial)(), OPENSEND_SIZE_THROUGH(osp_plugin, n_kinds), out),
        "its size is not plausible"
    );
}
void DescriptorMagic(Trial& trial) {
    Require(Descriptor(trial).magic == OSP_MAGIC, "another number");
}
void DescriptorMajor(Trial& trial) {
    const unsigned major = Descriptor(trial).abi_major;
    Require(major == OSP_ABI_MAJOR, base::Cat("it is ", major));
}

plugin::Manifest ManifestOf(const Trial& trial) {
    auto manifest = plugin::ParseManifest(trial.target.manifest);
    if (!manifest.ok()) throw NotHere{"needs manifest.names"};
    return std::move(*manifest);
}
std::string TextOr(const char* text) { return text == nullptr ? "(null)" : text; }

void DescriptorId(Trial& trial) {
    const std::string id = TextOr(Descriptor(trial).id);
    Require(id == ManifestOf(trial).id, base::Cat("the descriptor says ", id));
}
void DescriptorVersion(Trial& trial) {
    const std::string version = TextOr(Descriptor(trial).version);
    Require(version == ManifestOf(trial).version, base::Cat("the descriptor says ", version));
}
void DescriptorMinors(Trial& trial) {
    const auto note = plugin::ReadNote(trial.target.bytes);
    if (!note.ok()) throw NotHere{"needs note.one"};
    const osp_plugin plugin = Descriptor(trial);
    Require(
        note->abi_minor == plugin.abi_minor && note->min_host_minor == plugin.min_host_minor,
        "note and descriptor name different minor versions"
    );
}
void DescriptorKinds(Trial& trial) {
    const osp_plugin plugin = Descriptor(trial);
    Require(
        plugin.kinds != nullptr && plugin.n_kinds >= 1 && plugin.n_kinds <= 32, "1 to 32 kinds"
    );
    std::string found;
    for (uint32_t i = 0; i < plugin.n_kinds; ++i) {
        osp_kind kind{};
        const bool good =
            plugin::Import(plugin.kinds[i], OPENSEND_SIZE_THROUGH(osp_kind, table), kind);
        Require(good, "a kind of implausible size");
        found += base::Cat(i == 0 ? "" : " ", TextOr(kind.iface), ":", TextOr(kind.name));
    }
    const std::string expected = base::Join(ManifestOf(trial).kinds, " ");
    Require(found == expected, base::Cat("manifest: ", expected, "; descriptor: ", found));
}

void KindTables(Trial& trial) {
    const Kind& kind = trial.kind();
    Require(kind.life.create != nullptr, "create is missing");
    Require(kind.life.destroy != nullptr, "destroy is missing");
    if (kind.iface == OSP_KIND_TRANSPORT) {
        Require(kind.transport.get_caps != nullptr, "get_caps is missing");
        Require(
            kind.transport.send != nullptr || kind.transport.submit != nullptr,
            "neither send nor submit is there"
        );
    }
    if (kind.iface == OSP_KIND_AUTH)
        Require(kind.auth.authenticate != nullptr, "authenticate is missing");
    if (kind.iface == OSP_KIND_RATELIMIT)
        Require(kind.ratelimit.acquire != nullptr, "acquire is missing");
    if (kind.iface == OSP_KIND_INBOUND)
        Require(kind.inbound.handle != nullptr, "handle is missing");
}

void KindSchema(Trial& trial) {
    const auto schema = json::Document::Parse(trial.kind().schema);
    Require(schema.ok(), schema.ok() ? "" : schema.error().reason);
    Require(schema->root().IsObject(), "it is no object");
}

void KindSchemaSame(Trial& trial) {
    const auto manifest = json::Document::Parse(trial.target.manifest);
    const auto schema = json::Document::Parse(trial.kind().schema);
    if (!schema.ok()) throw NotHere{"needs kind.schema"};
    const json::Value told = manifest->root().Find("config_schema").Find(trial.kind().name);
    if (told.IsMissing()) throw NotHere{"the manifest has none"};
    Require(json::Canonical(told) == json::Canonical(schema->root()), "they differ");
}

/// load() of the plugin as the host calls it; absent counts as success.
osp_status CallLoad(Trial& trial) {
    const osp_plugin* source = trial.plugin();
    osp_plugin plugin{};
    if (!plugin::Import(source, OPENSEND_SIZE_THROUGH(osp_plugin, n_kinds), plugin))
        throw NotHere{"needs desc.size"};
    if (plugin.load == nullptr) throw NotHere{"it has no load()"};
    GuardedError error;
    return plugin.load(trial.host.table(), &error.error);
}
void LoadTwice(Trial& trial) {
    Require(CallLoad(trial) == OSP_OK, "the first load() failed");
    Require(CallLoad(trial) == OSP_OK, "the second load() failed");
}

void OpensTwice(Trial& trial) {
    const osp_plugin* first = trial.plugin();
    void* again = dlopen(trial.target.path.c_str(), RTLD_NOW | RTLD_LOCAL);
    Require(again != nullptr, "the second dlopen failed");
    auto* entry = reinterpret_cast<EntryFunction>(dlsym(again, "osp_plugin_v1"));
    Require(entry != nullptr && entry() == first, "the descriptor is another one");
}

constexpr Check kLoading[] = {
    {"load.opens",       "",  "The file loads with every symbol resolved",
     "link with -Wl,-z,defs; no symbols of the server",                                                                     Opens                       },
    {"load.fast",        "",  "Loading takes less than 100 ms",                      "no work in constructors of the file",
     OpensFast                                                                                                                                          },
    {"load.signals",     "",  "Loading changes no signal handler",
     "no signal() or sigaction() in constructors",                                                                          OpensWithout<SignalsNow>    },
    {"load.locale",      "",  "Loading changes no locale",                           "no setlocale() anywhere",
     OpensWithout<LocaleNow>                                                                                                                            },
    {"load.umask",       "",  "Loading changes no umask",                            "no umask() anywhere; use fchmod()",
     OpensWithout<UmaskNow>                                                                                                                             },
    {"load.cwd",         "",  "Loading changes no working folder",                   "no chdir() anywhere",
     OpensWithout<FolderNow>                                                                                                                            },
    {"load.environ",     "",  "Loading changes no environment variable",
     "no setenv() or putenv() anywhere",                                                                                    OpensWithout<EnvironmentNow>},
    {"load.rlimits",     "",  "Loading changes no resource limit",                   "no setrlimit() anywhere",
     OpensWithout<LimitsNow>                                                                                                                            },
    {"load.threads",     "",  "Loading starts no thread",                            "start threads in start()",
     OpensWithout<ThreadsNow>                                                                                                                           },
    {"load.files",       "",  "Loading opens no file that stays open",               "open files in start()",
     OpensWithout<FilesNow>                                                                                                                             },
    {"load.float",       "",  "Loading changes no rounding or denormal mode",
     "no -ffast-math when linking",                                                                                         OpensWithout<FloatNow>      },
    {"load.unmaps",      "",  "Closing the file takes it out of memory",
     "-fno-gnu-unique, hidden visibility, no thread_local with a destructor",                                               Unmaps                      },
    {"load.again",       "",  "Opening the file twice gives the same plugin",
     "the descriptor is a constant",                                                                                        OpensTwice                  },
    {"entry.present",    "",  "osp_plugin_v1 is exported",
     "OSP_EXPORT and the version script plugin.ver",                                                                        EntryPresent                },
    {"entry.same",       "",  "osp_plugin_v1 returns the same address each time",
     "return a static constant",                                                                                            EntrySame                   },
    {"entry.pure",       "",  "osp_plugin_v1 makes no system call",                  "return a static constant",            EntryPure                   },
    {"entry.memory",     "",  "osp_plugin_v1 keeps no memory",                       "return a static constant",
     EntryKeepsNothing                                                                                                                                  },
    {"desc.size",        "",  "The descriptor's size is plausible",                  "size = sizeof(osp_plugin)",
     DescriptorSize                                                                                                                                     },
    {"desc.magic",       "",  "The descriptor's magic number is OSP1",               "magic = OSP_MAGIC",
     DescriptorMagic                                                                                                                                    },
    {"desc.major",       "",  "The descriptor's ABI major is this server's",         "abi_major = OSP_ABI_MAJOR",
     DescriptorMajor                                                                                                                                    },
    {"desc.id",          "",  "The descriptor's id is the manifest's",               "write the same text twice",
     DescriptorId                                                                                                                                       },
    {"desc.version",     "",  "The descriptor's version is the manifest's",          "write the same text twice",
     DescriptorVersion                                                                                                                                  },
    {"desc.minors",      "",  "The descriptor's minor versions are the note's",
     "OSP_ABI_MINOR and the first argument of OSP_MANIFEST",                                                                DescriptorMinors            },
    {"desc.kinds",       "",  "The descriptor's kinds are the manifest's, in order",
     "write the same list twice",                                                                                           DescriptorKinds             },
    {"desc.load-twice",  "",  "load() may come more than once",                      "make load() idempotent",              LoadTwice                   },
    {"kind.slots",       "*", "The functions that must be there are there",
     "create, destroy and the ones of the interface",                                                                       KindTables                  },
    {"kind.schema",      "*", "The configuration schema is a JSON object",
     "at least {\"type\":\"object\"}",                                                                                      KindSchema                  },
    {"kind.schema-same", "*", "The schema is the manifest's",                        "write the same schema twice",
     KindSchemaSame                                                                                                                                     },
};

}  // namespace
}  // namespace loading_family

std::span<const Check> LoadingChecks() { return loading_family::kLoading; }

}  // namespace opensend::plugin_check
