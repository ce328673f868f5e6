// SPDX-License-Identifier: MIT
#include <utility>

#include "client/ctl/commands.h"
#include "client/ctl/json.h"
#include "client/ctl/page_dump.h"
#include "client/ctl/server_reader.h"
#include "client/ctl/session.h"
#include "common/innodb/page_format.h"
#include "common/runtime/rpc/wire_message.h"
#include "common/runtime/task_group.h"

namespace redoubt::ctl {
namespace {

constexpr uint32_t kVerifyPagesPerRequest = 256;
constexpr size_t kVerifiesInFlight = 4;

ServerOptions VolumeOf(const ServerAddress& server, std::string volume) {
  return {std::move(volume), server.timeout};
}

struct FetchedImage {
  Lsn read_lsn;
  Lsn page_lsn;
  Bytes image;
};

Task<Result<FetchedImage>> FetchPage(ServerReader* reader, PageId page, std::optional<Lsn> lsn) {
  const Status opened = co_await reader->Open();
  if (!opened.ok()) {
    co_return opened;
  }
  const Status at = co_await reader->ReadAt(lsn);
  if (!at.ok()) {
    co_return at;
  }
  proto::GetPagesRequest request;
  request.set_volume_id(reader->state().volume_id());
  request.set_read_lsn(reader->read_lsn().value());
  proto::PageRef* const ref = request.add_pages();
  ref->set_space(page.space.value());
  ref->set_page_no(page.page_no.value());
  const TimePoint deadline = reader->Deadline();
  Result<WithPayload<proto::GetPagesResponse>> answer =
      co_await reader->client().GetPages(std::move(request), deadline);
  if (!answer.ok()) {
    co_return answer.status();
  }
  if (answer->message.pages_size() != 1) {
    co_return Corruption("GetPages: asked for one page, the answer has " +
                         std::to_string(answer->message.pages_size()));
  }
  const proto::PageResult& result = answer->message.pages(0);
  const Status status = FromProto(result.status());
  if (!status.ok()) {
    co_return status.WithContext("page " + ToString(page));
  }
  if (answer->payload.size() != reader->page_size()) {
    co_return Corruption("GetPages: the image has " + std::to_string(answer->payload.size()) +
                         " bytes, a page has " + std::to_string(reader->page_size()));
  }
  co_return FetchedImage{Lsn(answer->message.read_lsn()), Lsn(result.page_lsn()),
                         std::move(answer->payload)};
}

Task<Status> SaveImage(FileSystem* files, std::string path, ByteView image) {
  const auto opened = co_await files->Open(path, OpenMode::kCreate);
  if (!opened.ok()) {
    co_return opened.status();
  }
  Status done = co_await (*opened)->WriteAt(0, image);
  if (done.ok()) {
    done = co_await (*opened)->Truncate(image.size());
  }
  if (done.ok()) {
    done = co_await (*opened)->Sync();
  }
  co_return done;
}

void PrintImage(const FetchedImage& fetched, const PageGetOptions& options, Console* console) {
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("space", options.page.space.value());
    json.Field("page", options.page.page_no.value());
    json.Field("read_lsn", fetched.read_lsn.value());
    json.Field("page_lsn", fetched.page_lsn.value());
    json.Field("type", innodb::PageTypeName(innodb::PageTypeOf(fetched.image)));
    json.Field("never_written", innodb::IsZero(fetched.image));
    if (options.out_file.empty()) {
      json.Field("image_hex", ToHex(fetched.image));
    } else {
      json.Field("file", options.out_file);
    }
    json.EndObject();
    console->Print(json.text());
    return;
  }
  if (!options.hex_only) {
    console->Print("read at         " + std::to_string(fetched.read_lsn.value()));
    console->PrintRaw(DescribePage(fetched.image));
  }
  if (options.out_file.empty()) {
    console->PrintRaw(HexDump(fetched.image));
  }
}

std::string JoinTypes(const proto::PageVersion& version) {
  std::string text;
  for (const std::string& type : version.record_types()) {
    text += text.empty() ? type : ", " + type;
  }
  return text;
}

void PrintVersion(const proto::PageVersion& version, Console* console) {
  if (version.kind() == proto::PageVersion::IMAGE) {
    console->Print("image " + std::to_string(version.start_lsn()) + "  " +
                   std::to_string(version.stored_bytes()) + " bytes");
    return;
  }
  console->Print("mtr   " + std::to_string(version.start_lsn()) + ".." +
                 std::to_string(version.end_lsn()) + "  " + std::to_string(version.stored_bytes()) +
                 " bytes  " + JoinTypes(version));
}

void AddVersion(const proto::PageVersion& version, JsonWriter* json) {
  json->BeginObject();
  json->Field("kind", version.kind() == proto::PageVersion::IMAGE ? "image" : "mtr");
  json->Field("start_lsn", version.start_lsn()).Field("end_lsn", version.end_lsn());
  json->Field("stored_bytes", version.stored_bytes()).Key("record_types").BeginArray();
  for (const std::string& type : version.record_types()) {
    json->String(type);
  }
  json->EndArray().EndObject();
}

// Asks the server to check space after space, a few at a time.
class Verifier {
 public:
  Verifier(Runtime* runtime, Console* console, ServerReader* reader, std::vector<SpaceFile> spaces)
      : console_(console),
        reader_(reader),
        spaces_(std::move(spaces)),
        workers_(runtime->scheduler) {
    for (const SpaceFile& space : spaces_) {
      pages_total_ += space.page_count;
    }
  }

  Task<Status> Run() {
    for (size_t i = 0; i < kVerifiesInFlight; ++i) {
      workers_.Spawn(Work());
    }
    co_await workers_.Join();
    console_->EndProgress();
    co_return failure_;
  }

  struct Problem {
    std::string path;
    SpaceId space;
    uint32_t page_no = 0;
    Status status;
  };
  const std::vector<Problem>& problems() const { return problems_; }
  uint64_t pages_checked() const { return pages_checked_; }
  uint64_t versions_checked() const { return versions_checked_; }

 private:
  Task<void> Work() {
    while (failure_.ok() && next_space_ < spaces_.size()) {
      const size_t index = next_space_++;
      const Status done = co_await CheckSpace(index);
      if (!done.ok() && failure_.ok()) {
        failure_ = done;
      }
    }
  }

  Task<Status> CheckSpace(size_t index) {
    uint32_t next_page = 0;
    for (bool done = false; !done && failure_.ok();) {
      proto::SpaceVerifyRequest request;
      request.set_volume_id(reader_->state().volume_id());
      request.set_space(spaces_[index].space.value());
      request.set_first_page_no(next_page);
      request.set_pages_max(kVerifyPagesPerRequest);
      const TimePoint deadline = reader_->Deadline();
      const Result<proto::SpaceVerifyResponse> answer =
          co_await reader_->client().SpaceVerify(std::move(request), deadline);
      if (!answer.ok()) {
        co_return answer.status().WithContext(spaces_[index].path);
      }
      pages_checked_ += answer->pages_checked();
      versions_checked_ += answer->versions_checked();
      for (const proto::PageProblem& problem : answer->problems()) {
        problems_.push_back({spaces_[index].path, spaces_[index].space, problem.page_no(),
                             FromProto(problem.status())});
      }
      console_->Progress("verify", pages_checked_, pages_total_, "pages");
      next_page = answer->next_page_no();
      done = answer->done();
    }
    co_return Status::Ok();
  }

  Console* console_;
  ServerReader* reader_;
  std::vector<SpaceFile> spaces_;
  size_t next_space_ = 0;
  uint64_t pages_total_ = 0;
  uint64_t pages_checked_ = 0;
  uint64_t versions_checked_ = 0;
  std::vector<Problem> problems_;
  Status failure_;
  TaskGroup workers_;
};

void PrintVerified(const Verifier& verifier, size_t unsupported_count, Console* console) {
  if (console->json()) {
    JsonWriter json;
    json.BeginObject().Field("pages_checked", verifier.pages_checked());
    json.Field("versions_checked", verifier.versions_checked());
    json.Field("unsupported_space_count", unsupported_count);
    json.Key("problems").BeginArray();
    for (const Verifier::Problem& problem : verifier.problems()) {
      json.BeginObject().Field("space", problem.space.value()).Field("page", problem.page_no);
      json.Field("path", problem.path).Field("problem", problem.status.ToString()).EndObject();
    }
    json.EndArray().EndObject();
    console->Print(json.text());
    return;
  }
  for (const Verifier::Problem& problem : verifier.problems()) {
    console->Print(problem.path + " page " + std::to_string(problem.space.value()) + ":" +
                   std::to_string(problem.page_no) + ": " + problem.status.ToString());
  }
  console->Print("verified " + std::to_string(verifier.pages_checked()) + " pages, " +
                 std::to_string(verifier.versions_checked()) +
                 " versions: " + std::to_string(verifier.problems().size()) + " problems");
}

}  // namespace

Task<int> PageGet(Runtime* runtime, Console* console, ServerAddress server,
                  PageGetOptions options) {
  Session session(runtime, server);
  ServerReader reader(runtime, session.channel(), VolumeOf(server, options.volume));
  const Result<FetchedImage> fetched = co_await FetchPage(&reader, options.page, options.lsn);
  if (!fetched.ok()) {
    co_return co_await session.End(session.Refuse(console, fetched.status()));
  }
  if (!options.out_file.empty()) {
    const Status saved = co_await SaveImage(runtime->files, options.out_file, fetched->image);
    if (!saved.ok()) {
      co_return co_await session.End(console->Fail(kExitFiles, saved));
    }
  }
  PrintImage(*fetched, options, console);
  co_return co_await session.End(kExitOk);
}

Task<int> PageHistory(Runtime* runtime, Console* console, ServerAddress server,
                      PageHistoryOptions options) {
  Session session(runtime, server);
  ServerReader reader(runtime, session.channel(), VolumeOf(server, options.volume));
  const Status opened = co_await reader.Open();
  if (!opened.ok()) {
    co_return co_await session.End(session.Refuse(console, opened));
  }
  proto::PageHistoryRequest request;
  request.set_volume_id(reader.state().volume_id());
  request.mutable_page()->set_space(options.page.space.value());
  request.mutable_page()->set_page_no(options.page.page_no.value());
  request.set_from_lsn(options.from.value());
  request.set_to_lsn(options.to ? options.to->value() : 0);
  request.set_entries_max(options.entries_max);
  const TimePoint deadline = session.Deadline();
  const Result<proto::PageHistoryResponse> answer =
      co_await session.client().PageHistory(std::move(request), deadline);
  if (!answer.ok()) {
    co_return co_await session.End(session.Refuse(console, answer.status()));
  }
  JsonWriter json;
  json.BeginObject().Key("versions").BeginArray();
  for (const proto::PageVersion& version : answer->versions()) {
    if (console->json()) {
      AddVersion(version, &json);
    } else {
      PrintVersion(version, console);
    }
  }
  const bool cut = static_cast<uint32_t>(answer->versions_size()) >= options.entries_max;
  if (console->json()) {
    json.EndArray().Field("cut", cut).EndObject();
    console->Print(json.text());
  } else {
    console->Print(std::to_string(answer->versions_size()) + " versions of page " +
                   ToString(options.page) + (cut ? "; there may be more, see --max" : ""));
  }
  co_return co_await session.End(kExitOk);
}

Task<int> SpaceList(Runtime* runtime, Console* console, ServerAddress server,
                    SpaceListOptions options) {
  Session session(runtime, server);
  ServerReader reader(runtime, session.channel(), VolumeOf(server, options.volume));
  Status done = co_await reader.Open();
  if (done.ok()) {
    done = co_await reader.ReadAt(options.lsn);
  }
  if (!done.ok()) {
    co_return co_await session.End(session.Refuse(console, done));
  }
  const Result<std::vector<SpaceFile>> spaces = co_await reader.Spaces();
  if (!spaces.ok()) {
    co_return co_await session.End(session.Refuse(console, spaces.status()));
  }
  JsonWriter json;
  json.BeginObject().Field("read_lsn", reader.read_lsn().value()).Key("spaces").BeginArray();
  for (const SpaceFile& space : *spaces) {
    const std::string id = std::to_string(space.space.value());
    json.BeginObject().Field("space", space.space.value()).Field("path", space.path);
    json.Field("page_count", space.page_count).Field("flags", space.flags);
    json.Field("unsupported_reason", space.unsupported_reason).EndObject();
    if (!console->json()) {
      const std::string pages = std::to_string(space.page_count);
      console->Print(id + std::string(id.size() < 12 ? 12 - id.size() : 1, ' ') + pages +
                     std::string(pages.size() < 10 ? 10 - pages.size() : 1, ' ') + space.path +
                     (space.unsupported_reason.empty() ? "" : "  UNSUPPORTED: ") +
                     space.unsupported_reason);
    }
  }
  json.EndArray().EndObject();
  if (console->json()) {
    console->Print(json.text());
  } else {
    console->Print(std::to_string(spaces->size()) + " spaces at LSN " +
                   std::to_string(reader.read_lsn().value()));
  }
  co_return co_await session.End(kExitOk);
}

Task<int> VerifyVolume(Runtime* runtime, Console* console, ServerAddress server,
                       std::string volume) {
  Session session(runtime, server);
  ServerReader reader(runtime, session.channel(), VolumeOf(server, std::move(volume)));
  Status done = co_await reader.Open();
  if (done.ok()) {
    done = co_await reader.ReadAt(std::nullopt);
  }
  if (!done.ok()) {
    co_return co_await session.End(session.Refuse(console, done));
  }
  Result<std::vector<SpaceFile>> spaces = co_await reader.Spaces();
  if (!spaces.ok()) {
    co_return co_await session.End(session.Refuse(console, spaces.status()));
  }
  const size_t unsupported_count = std::erase_if(
      *spaces, [](const SpaceFile& space) { return !space.unsupported_reason.empty(); });
  Verifier verifier(runtime, console, &reader, *std::move(spaces));
  const Status verified = co_await verifier.Run();
  if (!verified.ok()) {
    co_return co_await session.End(session.Refuse(console, verified));
  }
  PrintVerified(verifier, unsupported_count, console);
  const bool good = verifier.problems().empty() && verifier.pages_checked() > 0;
  const int exit_code = good ? kExitOk : kExitProblem;
  co_return co_await session.End(exit_code);
}

}  // namespace redoubt::ctl
