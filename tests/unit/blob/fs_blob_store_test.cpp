#include "kernel/blob/fs_blob_store.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"

namespace opensend::blob {
namespace {

namespace fs = std::filesystem;

std::string Digest(std::string_view bytes) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
    return {reinterpret_cast<const char*>(digest), sizeof digest};
}

class FsBlobStoreTest : public ::testing::Test {
protected:
    FsBlobStoreTest() {
        char name[] = "/tmp/opensend-blobs-XXXXXX";
        root_ = mkdtemp(name);
    }
    ~FsBlobStoreTest() override {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }
    std::string Folder() const { return root_ + "/blobs"; }
    FsBlobStore Open() const { return FsBlobStore(Folder(), Digest); }
    std::string PathOf(const std::string& key) const {
        return Folder() + '/' + key.substr(0, 2) + '/' + key;
    }
    size_t TemporaryFiles() const {
        size_t count = 0;
        for ([[maybe_unused]] const auto& file : fs::directory_iterator(Folder() + "/tmp")) ++count;
        return count;
    }
    std::string root_;
};

TEST_F(FsBlobStoreTest, KeepsBytesUnderTheirDigest) {
    FsBlobStore store = Open();
    const std::string bytes("a\0b\xff", 4);
    const std::string key = store.Put(bytes);
    EXPECT_EQ(key, base::HexEncode(Digest(bytes)));
    EXPECT_TRUE(store.Exists(key));
    EXPECT_EQ(store.Get(key), bytes);
    EXPECT_EQ(Open().Find(key), bytes);
    struct stat info {};
    ASSERT_EQ(stat(PathOf(key).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    EXPECT_EQ(TemporaryFiles(), 0U);
}

TEST_F(FsBlobStoreTest, TakesEmptyAndLargeBlobs) {
    FsBlobStore store = Open();
    EXPECT_EQ(store.Get(store.Put("")), "");
    const std::string large(5'000'000, 'x');
    EXPECT_EQ(store.Get(store.Put(large)), large);
}

TEST_F(FsBlobStoreTest, TheSameBytesAreOneFile) {
    FsBlobStore store = Open();
    const std::string key = store.Put("same");
    struct stat first {};
    struct stat second {};
    ASSERT_EQ(stat(PathOf(key).c_str(), &first), 0);
    EXPECT_EQ(store.Put("same"), key);
    ASSERT_EQ(stat(PathOf(key).c_str(), &second), 0);
    EXPECT_EQ(first.st_ino, second.st_ino);
}

TEST_F(FsBlobStoreTest, RemoveTakesItAwayAndMayBeRepeated) {
    FsBlobStore store = Open();
    const std::string key = store.Put("gone");
    store.Remove(key);
    store.Remove(key);
    EXPECT_FALSE(store.Exists(key));
    EXPECT_FALSE(store.Find(key));
    EXPECT_THROW(store.Get(key), base::Error);
    EXPECT_EQ(store.Put("gone"), key);
    EXPECT_TRUE(store.Exists(key));
}

TEST_F(FsBlobStoreTest, OnlyHexReachesThePath) {
    FsBlobStore store = Open();
    std::ofstream(root_ + "/secret") << "x";
    const std::string key = store.Put("x");
    std::string upper = key;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    for (const std::string& bad :
         {std::string(), std::string("../secret"), "../" + key, key + "/", key.substr(1), key + "0",
          upper, std::string(64, '.'), std::string(64, '\0')}) {
        EXPECT_FALSE(store.Exists(bad));
        EXPECT_FALSE(store.Find(bad));
        EXPECT_NO_THROW(store.Remove(bad));
    }
    EXPECT_TRUE(fs::exists(root_ + "/secret"));
}

TEST_F(FsBlobStoreTest, ADamagedFileIsNotReturned) {
    FsBlobStore store = Open();
    const std::string key = store.Put("good");
    std::ofstream(PathOf(key)) << "evil";
    EXPECT_THROW(store.Find(key), base::Error);
    std::ofstream(PathOf(key)) << "short";
    EXPECT_EQ(store.Put("good"), key);  // another size: written again
    EXPECT_EQ(store.Get(key), "good");
}

TEST_F(FsBlobStoreTest, OldTemporaryFilesGoAndYoungOnesStay) {
    { FsBlobStore store = Open(); }
    std::ofstream(Folder() + "/tmp/1-1") << "x";
    std::ofstream(Folder() + "/tmp/1-2") << "x";
    fs::last_write_time(
        Folder() + "/tmp/1-1", fs::file_time_type::clock::now() - std::chrono::hours(25)
    );
    FsBlobStore store = Open();
    EXPECT_EQ(TemporaryFiles(), 1U);
}

TEST_F(FsBlobStoreTest, AWriteThatDoesNotFitLeavesNothing) {
    { FsBlobStore store = Open(); }
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{1000, 1000};
        setrlimit(RLIMIT_FSIZE, &limit);
        FsBlobStore store = Open();
        try {
            store.Put(std::string(5000, 'x'));
        } catch (const base::Error& error) {
            const bool right = error.reason() == "storage_full" &&
                               error.code() == base::ErrorCode::kUnavailable &&
                               TemporaryFiles() == 0;
            _exit(right && !store.Exists(base::HexEncode(Digest(std::string(5000, 'x')))) ? 0 : 1);
        }
        _exit(2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(FsBlobStoreTest, AFolderThatCannotBeMadeIsReported) {
    EXPECT_THROW(FsBlobStore("/proc/opensend-blobs", Digest), base::Error);
}

TEST_F(FsBlobStoreTest, ManyWritersAgree) {
    FsBlobStore store = Open();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 20; ++i) store.Put("blob " + std::to_string(i));
        });
    }
    for (auto& thread : threads) thread.join();
    for (int i = 0; i < 20; ++i) {
        const std::string bytes = "blob " + std::to_string(i);
        EXPECT_EQ(store.Get(base::HexEncode(Digest(bytes))), bytes);
    }
    EXPECT_EQ(TemporaryFiles(), 0U);
}

}  // namespace
}  // namespace opensend::blob
