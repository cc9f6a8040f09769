#pragma once

#include <sys/syscall.h>

#include <cstdint>
#include <string>

#include "kernel/base/text.h"

namespace opensend::plugin::worker {

/// Where the child finds what it was given.
constexpr int kSocketFd = 3, kPluginFd = 4;

/// System calls whose name belongs into the reason of a death: a plugin that tries one wanted out.
struct NamedCall {
    uint32_t number;
    const char* name;
};
inline constexpr NamedCall kNamedCalls[] = {
#if defined(SYS_open)
    {SYS_open,             "open"            },
    {SYS_creat,            "creat"           },
    {SYS_fork,             "fork"            },
    {SYS_vfork,            "vfork"           },
    {SYS_unlink,           "unlink"          },
    {SYS_rename,           "rename"          },
#endif
    {SYS_openat,           "openat"          },
    {SYS_openat2,          "openat2"         },
    {SYS_unlinkat,         "unlinkat"        },
    {SYS_readlinkat,       "readlinkat"      },
    {SYS_getdents64,       "getdents64"      },
    {SYS_socket,           "socket"          },
    {SYS_socketpair,       "socketpair"      },
    {SYS_connect,          "connect"         },
    {SYS_bind,             "bind"            },
    {SYS_execve,           "execve"          },
    {SYS_execveat,         "execveat"        },
    {SYS_clone,            "clone"           },
    {SYS_ptrace,           "ptrace"          },
    {SYS_process_vm_readv, "process_vm_readv"},
    {SYS_io_uring_setup,   "io_uring_setup"  },
    {SYS_kill,             "kill"            },
    {SYS_tkill,            "tkill"           },
    {SYS_mount,            "mount"           },
    {SYS_unshare,          "unshare"         },
    {SYS_bpf,              "bpf"             },
    {SYS_keyctl,           "keyctl"          },
};

inline std::string CallName(uint32_t number) {
    for (const NamedCall& call : kNamedCalls) {
        if (call.number == number) return call.name;
    }
    return base::Cat("system call ", number);
}

}  // namespace opensend::plugin::worker
