#include "kernel/dns/hosts_file.h"

#include <fstream>
#include <sstream>

#include "kernel/dns/message.h"

namespace opensend::dns {
namespace {

constexpr off_t kMaxHostsFile = 4 * 1024 * 1024;

}  // namespace

std::optional<std::vector<base::IpAddress>> HostsFile::Find(const std::string& name) {
    Refresh();
    const auto at = names_.find(name);
    if (at != names_.end()) return at->second;
    if (name == "localhost" || name.ends_with(".localhost")) {
        return std::vector<base::IpAddress>{*base::ParseIp("127.0.0.1"), *base::ParseIp("::1")};
    }
    return std::nullopt;
}

void HostsFile::Refresh() {
    struct stat info {};
    if (path_.empty() || stat(path_.c_str(), &info) != 0 || info.st_size > kMaxHostsFile) {
        names_.clear();
        size_ = -1;
        return;
    }
    if (info.st_size == size_ && info.st_mtim.tv_sec == changed_.tv_sec &&
        info.st_mtim.tv_nsec == changed_.tv_nsec) {
        return;
    }
    size_ = info.st_size;
    changed_ = info.st_mtim;
    names_.clear();
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string word;
        words >> word;
        const auto address = base::ParseIp(word, true);
        if (!address) continue;
        while (words >> word) {
            if (const auto name = NormalName(word)) names_[*name].push_back(*address);
        }
    }
}

}  // namespace opensend::dns
