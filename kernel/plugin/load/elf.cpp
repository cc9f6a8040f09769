#include "kernel/plugin/load/elf.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

namespace opensend::plugin {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kMaxDynamic = 4096, kMaxVersions = 8192, kMaxText = 4096, kMaxSegments = 1024;
constexpr uint8_t kBindUnique = 10;  // STB_GNU_UNIQUE

base::Failure<Problem> BadTables(std::string expected, std::string found) {
    return Refuse("elf", std::move(expected), std::move(found));
}

template <class T>
std::optional<T> CopyAt(std::string_view bytes, uint64_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

/// The segments of a file, and its bytes by the address where they will be mapped.
class Image {
public:
    explicit Image(std::string_view file) : file_(file) {}

    Checked<bool> ReadSegments(ElfFacts& facts);
    /// From an address to the end of the bytes its segment takes from the file; empty: none there.
    std::string_view From(uint64_t address) const;
    template <class T>
    std::optional<T> At(uint64_t address) const {
        return CopyAt<T>(From(address), 0);
    }
    std::string_view dynamic() const { return dynamic_; }
    size_t size() const { return file_.size(); }

private:
    Checked<bool> AddLoad(const Elf64_Phdr& segment);

    std::string_view file_, dynamic_;
    std::vector<Elf64_Phdr> loads_;
};

Checked<bool> Image::AddLoad(const Elf64_Phdr& segment) {
    const uint64_t end = segment.p_vaddr + segment.p_memsz;
    if (end < segment.p_vaddr || end > UINT64_MAX - kPage)
        return BadTables("segments within the address space", "one beyond it");
    if (segment.p_vaddr % kPage != segment.p_offset % kPage)
        return BadTables("segments at the place of their page", "another place");
    if (!loads_.empty()) {
        // Whole pages are mapped, so that a page of two segments would have the bytes of one.
        const Elf64_Phdr& last = loads_.back();
        const uint64_t taken = (last.p_vaddr + last.p_memsz + kPage - 1) / kPage * kPage;
        if (segment.p_vaddr / kPage * kPage < taken)
            return BadTables("segments in order on pages of their own", "overlapping ones");
    }
    loads_.push_back(segment);
    return true;
}

Checked<bool> Image::ReadSegments(ElfFacts& facts) {
    const auto elf = CopyAt<Elf64_Ehdr>(file_, 0);
    if (!elf || elf->e_phnum > kMaxSegments) return BadTables("a file header", "none");
    size_t tables = 0, stacks = 0;
    for (uint64_t i = 0; i < elf->e_phnum; ++i) {
        const auto segment = CopyAt<Elf64_Phdr>(file_, elf->e_phoff + i * sizeof(Elf64_Phdr));
        if (!segment || segment->p_offset > file_.size() ||
            file_.size() - segment->p_offset < segment->p_filesz)
            return BadTables("a complete file", "a segment behind its end");
        const bool executable = (segment->p_flags & PF_X) != 0;
        if (segment->p_type == PT_LOAD) {
            const auto added = AddLoad(*segment);
            if (!added.ok()) return added;
            facts.writable_code |= executable && (segment->p_flags & PF_W) != 0;
        } else if (segment->p_type == PT_DYNAMIC) {
            ++tables;
            dynamic_ = file_.substr(segment->p_offset, segment->p_filesz);
            if (From(segment->p_vaddr).data() != dynamic_.data())
                return BadTables("a dynamic table inside of a segment", "another place");
        } else if (segment->p_type == PT_GNU_STACK) {
            ++stacks;
            facts.executable_stack |= executable;
        } else if (segment->p_type == PT_GNU_RELRO) {
            facts.relro = true;
        }
    }
    facts.has_stack_header = stacks > 0;
    if (tables != 1) return BadTables("one dynamic table", base::Cat(tables, " of them"));
    if (stacks > 1) return BadTables("one stack header", base::Cat(stacks, " of them"));
    return true;
}

std::string_view Image::From(uint64_t address) const {
    for (const Elf64_Phdr& load : loads_) {
        if (address < load.p_vaddr || address - load.p_vaddr >= load.p_filesz) continue;
        const uint64_t skip = address - load.p_vaddr;
        return file_.substr(load.p_offset + skip, load.p_filesz - skip);
    }
    return {};
}

/// The dynamic table: values that stand once, and the texts of those that may stand often.
class DynamicTable {
public:
    explicit DynamicTable(const Image& image) : image_(image) {}
    Checked<bool> Read();
    uint64_t Value(int64_t tag) const {
        const auto found = values_.find(tag);
        return found == values_.end() ? 0 : found->second;
    }
    bool Has(int64_t tag) const { return values_.count(tag) > 0; }
    /// Text of the string table; nullopt: it does not end inside of it.
    std::optional<std::string> Text(uint64_t offset) const;
    const std::vector<uint64_t>& needed() const { return needed_; }

private:
    const Image& image_;
    std::map<int64_t, uint64_t> values_;
    std::vector<uint64_t> needed_;
    std::string_view texts_;
};

Checked<bool> DynamicTable::Read() {
    const std::string_view table = image_.dynamic();
    bool ended = false;
    for (size_t i = 0; i < kMaxDynamic && !ended; ++i) {
        const auto entry = CopyAt<Elf64_Dyn>(table, i * sizeof(Elf64_Dyn));
        if (!entry) return BadTables("a dynamic table with an end", "none");
        ended = entry->d_tag == DT_NULL;
        const int64_t tag = entry->d_tag;
        const uint64_t value = entry->d_un.d_val;
        // The other ways to bring a library in count as needing it.
        const bool brings = tag == DT_NEEDED || tag == DT_FILTER || tag == DT_AUXILIARY ||
                            tag == DT_AUDIT || tag == DT_DEPAUDIT;
        if (brings) {
            needed_.push_back(value);
        } else if (!ended && !values_.emplace(tag, value).second) {
            return BadTables("each dynamic entry once", base::Cat("entry ", tag, " again"));
        }
    }
    if (!ended) return BadTables("at most 4096 dynamic entries", "more");
    texts_ = image_.From(Value(DT_STRTAB));
    if (Value(DT_STRSZ) > texts_.size())
        return BadTables("a string table inside of a segment", "another place");
    texts_ = texts_.substr(0, Value(DT_STRSZ));
    return true;
}

std::optional<std::string> DynamicTable::Text(uint64_t offset) const {
    if (offset >= texts_.size()) return std::nullopt;
    const std::string_view rest = texts_.substr(offset, kMaxText);
    const size_t end = rest.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    std::string out(rest.substr(0, end));
    // It is shown to people.
    std::replace_if(
        out.begin(), out.end(), [](unsigned char c) { return c < ' ' || c >= 127; }, '?'
    );
    return out;
}

/// How many symbols the hash table of the old kind reaches.
uint64_t CountByHash(const Image& image, uint64_t address) {
    return image.At<uint32_t>(address + 4).value_or(0);
}

/// The same for the GNU kind: each chain runs to a mark, so the last one ends at the last symbol.
uint64_t CountByGnuHash(const Image& image, uint64_t address) {
    struct Header {
        uint32_t buckets, first, bloom, shift;
    };
    const std::string_view table = image.From(address);
    const auto header = CopyAt<Header>(table, 0);
    if (!header) return 0;
    const uint64_t buckets_at = sizeof(Header) + uint64_t{header->bloom} * 8;
    uint32_t last = 0;
    for (uint64_t i = 0; i < header->buckets; ++i) {
        const auto start = CopyAt<uint32_t>(table, buckets_at + i * 4);
        if (!start) return UINT64_MAX;
        last = std::max(last, *start);
    }
    if (last < header->first) return header->first;
    for (uint64_t at = last;; ++at) {
        const uint64_t chain = buckets_at + uint64_t{header->buckets} * 4;
        const auto hash = CopyAt<uint32_t>(table, chain + (at - header->first) * 4);
        if (!hash) return UINT64_MAX;
        if ((*hash & 1u) != 0) return at + 1;
    }
}

Checked<bool> ReadSymbols(const Image& image, const DynamicTable& table, ElfFacts& facts) {
    uint64_t count = 0;
    if (table.Has(DT_HASH)) count = CountByHash(image, table.Value(DT_HASH));
    if (table.Has(DT_GNU_HASH))
        count = std::max(count, CountByGnuHash(image, table.Value(DT_GNU_HASH)));
    if (count == 0) return true;
    if (table.Value(DT_SYMENT) != sizeof(Elf64_Sym))
        return BadTables("symbols of 24 bytes", base::Cat(table.Value(DT_SYMENT), " bytes"));
    const std::string_view symbols = image.From(table.Value(DT_SYMTAB));
    if (count > symbols.size() / sizeof(Elf64_Sym))
        return BadTables("a complete symbol table", "one behind the end of its segment");
    for (uint64_t i = 1; i < count; ++i) {
        const auto symbol = CopyAt<Elf64_Sym>(symbols, i * sizeof(Elf64_Sym));
        if (!symbol) return BadTables("a complete symbol table", "a shorter one");
        const unsigned bind = symbol->st_info >> 4;
        if (symbol->st_shndx == SHN_UNDEF || bind == STB_LOCAL) continue;
        auto name = table.Text(symbol->st_name);
        if (!name) return BadTables("symbols with names", "a name behind the string table");
        if (bind == kBindUnique) facts.unique.push_back(*name);
        facts.exports.push_back(std::move(*name));
    }
    std::sort(facts.exports.begin(), facts.exports.end());
    return true;
}

Checked<bool> ReadVersions(const Image& image, const DynamicTable& table, ElfFacts& facts) {
    if (!table.Has(DT_VERNEED)) return true;
    uint64_t at = table.Value(DT_VERNEED);
    size_t left = kMaxVersions;
    for (uint64_t i = 0; i < table.Value(DT_VERNEEDNUM); ++i) {
        const auto library = image.At<Elf64_Verneed>(at);
        if (!library) return BadTables("complete version tables", "one behind the end");
        uint64_t version_at = at + library->vn_aux;
        for (uint32_t k = 0; k < library->vn_cnt; ++k) {
            const auto version = image.At<Elf64_Vernaux>(version_at);
            const auto name = version ? table.Text(version->vna_name) : std::nullopt;
            if (!name) return BadTables("complete version tables", "one behind the end");
            if (left-- == 0) return BadTables("at most 8192 versions", "more");
            if (name->compare(0, 6, "GLIBC_") == 0) facts.glibc_versions.push_back(*name);
            if (version->vna_next == 0) break;
            version_at += version->vna_next;
        }
        if (library->vn_next == 0) break;
        at += library->vn_next;
    }
    return true;
}

}  // namespace

Checked<ElfFacts> ReadElf(std::string_view file) {
    ElfFacts facts;
    Image image(file);
    const auto segments = image.ReadSegments(facts);
    if (!segments.ok()) return base::Failure{segments.error()};
    DynamicTable table(image);
    const auto read = table.Read();
    if (!read.ok()) return base::Failure{read.error()};
    const uint64_t flags = table.Value(DT_FLAGS);
    facts.textrel = table.Has(DT_TEXTREL) || (flags & DF_TEXTREL) != 0;
    facts.now = table.Has(DT_BIND_NOW) || (flags & DF_BIND_NOW) != 0 ||
                (table.Value(DT_FLAGS_1) & DF_1_NOW) != 0;
    for (const int64_t tag : {DT_RPATH, DT_RUNPATH}) {
        if (table.Has(tag)) facts.search_path = table.Text(table.Value(tag)).value_or("?");
        if (table.Has(tag) && facts.search_path.empty()) facts.search_path = "an empty one";
    }
    for (const uint64_t offset : table.needed()) {
        auto name = table.Text(offset);
        if (!name) return BadTables("libraries with names", "a name behind the string table");
        facts.needed.push_back(std::move(*name));
    }
    const auto symbols = ReadSymbols(image, table, facts);
    if (!symbols.ok()) return base::Failure{symbols.error()};
    const auto versions = ReadVersions(image, table, facts);
    if (!versions.ok()) return base::Failure{versions.error()};
    return facts;
}

}  // namespace opensend::plugin
