// The JSON reader of the SDK: whatever was accepted can be walked and decoded within its bounds.
#include <cstdint>
#include <cstdlib>

#include <opensend/json.hpp>

namespace {

void Walk(osp_str value, int depth) {
    char room[64];
    const int64_t length = osp_json_text(value, room, sizeof room);
    if (length > static_cast<int64_t>(sizeof room)) std::abort();
    int64_t number = 0;
    osp_json_int(value, &number);
    osp_json_walk walk = osp_json_begin(value);
    osp_str key{}, item{};
    while (osp_json_next(&walk, &key, &item)) {
        // Each part is a value of its own and lies within the whole.
        if (item.ptr < value.ptr || item.ptr + item.len > value.ptr + value.len) std::abort();
        if (osp_json_parse(item).len != item.len) std::abort();
        if (depth < OSP_JSON_DEPTH) Walk(item, depth + 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 4096) return 0;
    const std::string copy(reinterpret_cast<const char*>(data), size);
    const osp_str value = osp_json_parse(osp::Str(copy));
    if (value.len == 0) return 0;
    Walk(value, 0);
    osp_json_find(value, "a");
    const char* known[] = {"a", "id"};
    osp_json_stranger(value, known, 2);
    const osp::Json json = osp::Json::Parse(copy);
    json.Text();
    json.SecretRef();
    return 0;
}
