#pragma once

#include <string>
#include <string_view>

#include "kernel/base/secret.h"

namespace opensend::crypto {

/// A PHC string of a new password: argon2id with 19 MiB, two passes and a salt of its own
/// (AUTH-04). Takes some tens of milliseconds and that memory.
std::string HashPassword(const base::Secret& password);

/// True when `password` made `phc`: argon2id of any cost up to 256 MiB and 16 passes, or scrypt up
/// to 2^17. False for anything else.
bool VerifyPassword(const base::Secret& password, std::string_view phc);

/// The hash is of another kind or cheaper than HashPassword makes now: replace it at the next
/// successful sign-in.
bool IsOutdatedHash(std::string_view phc);

}  // namespace opensend::crypto
