#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernel/base/result.h"

namespace opensend::runtime {

using DevSecrets = std::map<std::string, std::string>;

/// 32 bytes of the operating system as 64 hexadecimal characters.
std::string RandomSecretHex();

/// <data_dir>/dev-secrets.env; empty when the file is absent. The failure is "<path>: <reason>".
base::Result<DevSecrets, std::string> ReadDevSecrets(const std::string& data_dir);
/// Adds what is missing of `names` and returns all. Several processes may do this at once: each
/// name is made once. The folder is made when absent.
base::Result<DevSecrets, std::string> MakeDevSecrets(
    const std::string& data_dir, const std::vector<std::string>& names
);

}  // namespace opensend::runtime
