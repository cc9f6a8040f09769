#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opensend::testing_support {

/// The smallest shared object that has all tables the plugin gate looks at; everything lies in one
/// segment at address 0, so that offsets are addresses.
struct ElfSpec {
    struct Symbol {
        std::string name;
        unsigned bind = STB_GLOBAL;
        uint16_t section = 1;
    };
    std::vector<std::string> needed = {"libc.so.6"};
    std::vector<Symbol> symbols = {{"osp_plugin_v1"}};
    std::vector<std::string> versions = {"GLIBC_2.2.5"};  // of libc.so.6
    std::vector<std::pair<int64_t, uint64_t>> entries = {
        {DT_FLAGS, DF_BIND_NOW}
    };                             // further dynamic ones
    std::vector<std::pair<int64_t, std::string>> texts = {};  // the same, with a string
    std::vector<uint32_t> headers = {PT_GNU_STACK, PT_GNU_RELRO};
    uint32_t stack_flags = PF_R | PF_W, load_flags = PF_R;
    uint64_t load_address = 0;
    bool old_hash = false;  // DT_HASH instead of the GNU kind
    bool ends = true;       // the dynamic table has its last entry
};

class ElfBuilder {
public:
    explicit ElfBuilder(ElfSpec spec) : spec_(std::move(spec)) {}

    std::string Build() {
        const size_t segments = 2 + spec_.headers.size();
        out_.assign(sizeof(Elf64_Ehdr) + segments * sizeof(Elf64_Phdr), '\0');
        texts_ = std::string(1, '\0');
        const uint64_t symbols = AddSymbols(), hash = AddHash(), versions = AddVersions();
        std::vector<Elf64_Dyn> table;
        const auto add = [&](int64_t tag, uint64_t value) {
            Elf64_Dyn entry{};
            entry.d_tag = tag;
            entry.d_un.d_val = value;
            table.push_back(entry);
        };
        for (const auto& name : spec_.needed) add(DT_NEEDED, Text(name));
        for (const auto& [tag, text] : spec_.texts) add(tag, Text(text));
        for (const auto& [tag, value] : spec_.entries) add(tag, value);
        add(DT_SYMTAB, symbols);
        add(DT_SYMENT, sizeof(Elf64_Sym));
        add(spec_.old_hash ? DT_HASH : DT_GNU_HASH, hash);
        if (!spec_.versions.empty()) {
            add(DT_VERNEED, versions);
            add(DT_VERNEEDNUM, 1);
        }
        const uint64_t strings = Append(texts_.data(), texts_.size());
        add(DT_STRTAB, strings);
        add(DT_STRSZ, texts_.size());
        if (spec_.ends) add(DT_NULL, 0);
        const uint64_t dynamic = Append(table.data(), table.size() * sizeof(Elf64_Dyn));
        WriteHeaders(dynamic, table.size() * sizeof(Elf64_Dyn));
        return out_;
    }

private:
    uint64_t Append(const void* data, size_t size) {
        out_.resize((out_.size() + 7) / 8 * 8);
        const uint64_t at = out_.size();
        out_.append(static_cast<const char*>(data), size);
        return at;
    }
    uint32_t Text(const std::string& text) {
        const auto at = static_cast<uint32_t>(texts_.size());
        texts_ += text;
        texts_ += '\0';
        return at;
    }
    uint64_t AddSymbols() {
        std::vector<Elf64_Sym> table(1);
        for (const auto& symbol : spec_.symbols) {
            Elf64_Sym entry{};
            entry.st_name = Text(symbol.name);
            entry.st_info = static_cast<unsigned char>(symbol.bind << 4 | STT_FUNC);
            entry.st_shndx = symbol.section;
            table.push_back(entry);
        }
        return Append(table.data(), table.size() * sizeof(Elf64_Sym));
    }
    uint64_t AddHash() {
        const auto count = static_cast<uint32_t>(spec_.symbols.size());
        // GNU: one bucket with all symbols, the last one marked. Old: bucket and chain counts.
        std::vector<uint32_t> words = {1, 1, 1, 0, 0, 0, 1};
        if (count == 0) words.back() = 0;
        for (uint32_t i = 0; i < count; ++i) words.push_back(i + 1 == count ? 1 : 0);
        if (spec_.old_hash) words = {0, count + 1};
        return Append(words.data(), words.size() * sizeof(uint32_t));
    }
    uint64_t AddVersions() {
        Elf64_Verneed library{};
        library.vn_version = 1;
        library.vn_cnt = static_cast<uint16_t>(spec_.versions.size());
        library.vn_file = Text("libc.so.6");
        library.vn_aux = sizeof library;
        const uint64_t at = Append(&library, sizeof library);
        for (size_t i = 0; i < spec_.versions.size(); ++i) {
            Elf64_Vernaux version{};
            version.vna_name = Text(spec_.versions[i]);
            version.vna_next = i + 1 < spec_.versions.size() ? sizeof version : 0;
            Append(&version, sizeof version);
        }
        return at;
    }
    void WriteHeaders(uint64_t dynamic, uint64_t dynamic_size) {
        Elf64_Ehdr elf{};
        std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
        elf.e_ident[EI_CLASS] = ELFCLASS64;
        elf.e_ident[EI_DATA] = ELFDATA2LSB;
        elf.e_ident[EI_VERSION] = EV_CURRENT;
        elf.e_type = ET_DYN;
#if defined(__aarch64__)
        elf.e_machine = EM_AARCH64;
#else
        elf.e_machine = EM_X86_64;
#endif
        elf.e_phoff = sizeof elf;
        elf.e_phentsize = sizeof(Elf64_Phdr);
        elf.e_phnum = static_cast<uint16_t>(2 + spec_.headers.size());
        std::memcpy(out_.data(), &elf, sizeof elf);
        std::vector<Elf64_Phdr> segments(2);
        segments[0].p_type = PT_LOAD;
        segments[0].p_flags = spec_.load_flags;
        segments[0].p_vaddr = spec_.load_address;
        segments[0].p_filesz = segments[0].p_memsz = out_.size();
        segments[1].p_type = PT_DYNAMIC;
        segments[1].p_offset = segments[1].p_vaddr = dynamic;
        segments[1].p_filesz = segments[1].p_memsz = dynamic_size;
        for (const uint32_t type : spec_.headers) {
            Elf64_Phdr segment{};
            segment.p_type = type;
            segment.p_flags = type == PT_GNU_STACK ? spec_.stack_flags : PF_R;
            segments.push_back(segment);
        }
        std::memcpy(
            out_.data() + sizeof elf, segments.data(), segments.size() * sizeof(Elf64_Phdr)
        );
    }

    const ElfSpec spec_;
    std::string out_, texts_;
};

}  // namespace opensend::testing_support
