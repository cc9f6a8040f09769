// Runs a fuzz target without a fuzzer: every file of the folders on the command line, then cheap
// mutations of them. The generator is written out here, so that a run is the same on every
// machine; the input of a crash is left in the file named by OPENSEND_REPLAY_INPUT, if it is set.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 4000;
constexpr size_t kMaxInput = 64 * 1024;
// A slow target under a sanitizer does fewer rounds rather than keep everybody waiting.
constexpr std::chrono::seconds kTimeLimit{20};

class Generator {
public:
    explicit Generator(uint64_t seed) : state_(seed) {}
    uint64_t Next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }
    size_t Below(size_t limit) { return limit == 0 ? 0 : static_cast<size_t>(Next() % limit); }

private:
    uint64_t state_;
};

std::vector<std::string> ReadSeeds(int argc, char** argv) {
    std::vector<std::filesystem::path> paths;
    for (int i = 1; i < argc; ++i) {
        if (!std::filesystem::is_directory(argv[i])) continue;
        for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
            if (entry.is_regular_file()) paths.push_back(entry.path());
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> seeds;
    for (const auto& path : paths) {
        std::ifstream in(path, std::ios::binary);
        seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return seeds;
}

void Try(const std::string& input) {
    static const char* const kept = std::getenv("OPENSEND_REPLAY_INPUT");
    if (kept != nullptr) std::ofstream(kept, std::ios::binary | std::ios::trunc) << input;
    // A copy of the exact size lets a sanitizer see a read past the end.
    const std::vector<uint8_t> bytes(input.begin(), input.end());
    static_cast<void>(LLVMFuzzerTestOneInput(bytes.data(), bytes.size()));
}

constexpr char kInteresting[] = {'\0', '\n',   '\r',   '"',    '\\',   '<', '>', '@',
                                 ':',  '\x7f', '\x80', '\xc3', '\xff', '{', '[', '0'};

std::string Mutate(std::string input, const std::vector<std::string>& seeds, Generator& random) {
    const size_t rounds = 1 + random.Below(4);
    for (size_t round = 0; round < rounds; ++round) {
        const size_t at = random.Below(input.size() + 1);
        const size_t length = 1 + random.Below(16);
        switch (random.Below(6)) {
            case 0:
                if (at < input.size()) {
                    input[at] = static_cast<char>(input[at] ^ (1 << random.Below(8)));
                }
                break;
            case 1: input.insert(at, 1, kInteresting[random.Below(std::size(kInteresting))]); break;
            case 2: input.erase(at, length); break;
            case 3: input.insert(at, input.substr(random.Below(input.size() + 1), length)); break;
            case 4: input.resize(at); break;
            default: {
                const std::string& other = seeds[random.Below(seeds.size())];
                input = input.substr(0, at) + other.substr(random.Below(other.size() + 1));
            }
        }
    }
    if (input.size() > kMaxInput) input.resize(kMaxInput);
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> seeds = ReadSeeds(argc, argv);
    if (seeds.empty()) {
        std::cerr << "usage: " << argv[0] << " folder… ; the folders hold no file\n";
        return 2;
    }
    seeds.emplace_back();
    for (const std::string& seed : seeds) Try(seed);
    Generator random(0x9e3779b97f4a7c15U);
    const auto end = std::chrono::steady_clock::now() + kTimeLimit;
    int done = 0;
    while (done < kMutations && std::chrono::steady_clock::now() < end) {
        Try(Mutate(seeds[random.Below(seeds.size())], seeds, random));
        ++done;
    }
    std::cout << seeds.size() << " seeds, " << done << " mutations\n";
    return 0;
}
