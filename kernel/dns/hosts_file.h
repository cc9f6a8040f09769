#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/cidr.h"

namespace opensend::dns {

/// Names of the machine's hosts file, read again when the file changed. Not thread-safe.
class HostsFile {
public:
    explicit HostsFile(std::string path) : path_(std::move(path)) {}
    /// Every address of a name (normal form); nullopt: the file does not know it. "localhost" and
    /// names below it are loopback when the file is silent.
    std::optional<std::vector<base::IpAddress>> Find(const std::string& name);

private:
    void Refresh();
    std::string path_;
    timespec changed_{};
    off_t size_ = -1;
    std::map<std::string, std::vector<base::IpAddress>> names_;
};

}  // namespace opensend::dns
