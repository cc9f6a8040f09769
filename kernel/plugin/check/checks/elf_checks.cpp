#include <elf.h>

#include <algorithm>
#include <cstring>

#include "kernel/plugin/check/trial.h"
#include "kernel/plugin/load/elf.h"
#include "kernel/plugin/load/note.h"

namespace opensend::plugin_check {
namespace elf_family {
namespace {

plugin::ElfFacts FactsOf(const Trial& trial) {
    if (!plugin::CheckElf(trial.target.bytes).ok()) throw NotHere{"needs elf.object"};
    auto facts = plugin::ReadElf(trial.target.bytes);
    if (!facts.ok()) throw NotHere{"needs elf.tables"};
    return std::move(*facts);
}

void Tables(Trial& trial) {
    if (!plugin::CheckElf(trial.target.bytes).ok()) throw NotHere{"needs elf.object"};
    const auto facts = plugin::ReadElf(trial.target.bytes);
    if (!facts.ok()) throw Failed{facts.error().found};
}

/// One rule of the gate by its name there.
void Rule(const Trial& trial, std::string_view id) {
    for (const plugin::GateStep& step :
         plugin::CheckHygiene(FactsOf(trial), plugin::RulesHere({}))) {
        if (step.id == id)
            Require(step.ok, base::Cat("expected ", step.expected, ", found ", step.found));
    }
}
void Stack(Trial& trial) { Rule(trial, "stack"); }
void Code(Trial& trial) { Rule(trial, "code"); }
void TextRelocations(Trial& trial) { Rule(trial, "textrel"); }
void SearchPath(Trial& trial) { Rule(trial, "rpath"); }
void Relro(Trial& trial) { Rule(trial, "relro"); }
void Now(Trial& trial) { Rule(trial, "now"); }
void Libraries(Trial& trial) { Rule(trial, "needed"); }
void Glibc(Trial& trial) { Rule(trial, "glibc"); }
void Unique(Trial& trial) { Rule(trial, "unique"); }
void Exports(Trial& trial) { Rule(trial, "exports"); }

template <class T>
std::optional<T> ReadRecord(std::string_view bytes, uint64_t at) {
    T record;
    if (at > bytes.size() || bytes.size() - at < sizeof record) return std::nullopt;
    std::memcpy(&record, bytes.data() + at, sizeof record);
    return record;
}

std::vector<Elf64_Phdr> SegmentsOf(const Trial& trial) {
    FactsOf(trial);
    std::vector<Elf64_Phdr> out;
    const auto head = ReadRecord<Elf64_Ehdr>(trial.target.bytes, 0);
    for (uint64_t i = 0; head && i < head->e_phnum; ++i) {
        const auto segment =
            ReadRecord<Elf64_Phdr>(trial.target.bytes, head->e_phoff + i * sizeof(Elf64_Phdr));
        if (segment) out.push_back(*segment);
    }
    return out;
}

void BuildId(Trial& trial) {
    constexpr uint32_t kGnuBuildId = 3;
    for (const Elf64_Phdr& segment : SegmentsOf(trial)) {
        if (segment.p_type != PT_NOTE) continue;
        const uint64_t end = segment.p_offset + segment.p_filesz;
        const uint64_t unit = segment.p_align == 8 ? 8 : 4;
        const auto round = [unit](uint64_t n) { return (n + unit - 1) / unit * unit; };
        for (uint64_t at = segment.p_offset; at < end;) {
            const auto note = ReadRecord<Elf64_Nhdr>(trial.target.bytes, at);
            if (!note) break;
            const std::string_view name =
                std::string_view(trial.target.bytes).substr(std::min(at + sizeof *note, end), 4);
            if (note->n_type == kGnuBuildId && name == std::string_view("GNU\0", 4)) return;
            at += sizeof *note + round(note->n_namesz) + round(note->n_descsz);
        }
    }
    throw Failed{"there is none"};
}

void StaticTls(Trial& trial) {
    for (const Elf64_Phdr& segment : SegmentsOf(trial)) {
        if (segment.p_type != PT_DYNAMIC) continue;
        for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= segment.p_filesz; at += sizeof(Elf64_Dyn)) {
            const auto entry = ReadRecord<Elf64_Dyn>(trial.target.bytes, segment.p_offset + at);
            if (!entry || entry->d_tag == DT_NULL) break;
            Require(
                entry->d_tag != DT_FLAGS || (entry->d_un.d_val & DF_STATIC_TLS) == 0,
                "it asks for a place in the static block"
            );
        }
    }
}

constexpr Check kElf[] = {
    {"elf.tables",     "", "The loader's tables lie within the file",
     "link it again; do not strip headers",                                                                            Tables    },
    {"elf.stack",      "", "The stack is not executable",                        "link with -Wl,-z,noexecstack",       Stack     },
    {"elf.code",       "", "No segment is writable and executable",              "link without -N or -z rwx-segments",
     Code                                                                                                                        },
    {"elf.textrel",    "", "The code needs no relocation",                       "compile everything with -fPIC",
     TextRelocations                                                                                                             },
    {"elf.rpath",      "", "It has no search path of its own",                   "link without -rpath",                SearchPath},
    {"elf.relro",      "", "Its tables become read-only",                        "link with -Wl,-z,relro",             Relro     },
    {"elf.now",        "", "Symbols are bound when it is loaded",                "link with -Wl,-z,now",               Now       },
    {"elf.needed",     "", "It brings in libraries of the system only",
     "link others statically, or have the operator allow them",                                                        Libraries },
    {"elf.glibc",      "", "It needs no newer C library than this one",
     "build on the oldest system it is for",                                                                           Glibc     },
    {"elf.unique",     "", "It has no symbol that keeps it loaded for ever",
     "compile with -fno-gnu-unique",                                                                                   Unique    },
    {"elf.exports",    "", "It exports osp_plugin_v* and nothing else",
     "link with the version script plugin.ver",                                                                        Exports   },
    {"elf.build-id",   "", "It has a build id",                                  "link with -Wl,--build-id",           BuildId   },
    {"elf.static-tls", "", "It takes no place in the static thread-local block",
     "compile with -ftls-model=global-dynamic",                                                                        StaticTls },
};

}  // namespace
}  // namespace elf_family

std::span<const Check> ElfChecks() { return elf_family::kElf; }

}  // namespace opensend::plugin_check
