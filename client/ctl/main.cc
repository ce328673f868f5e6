// SPDX-License-Identifier: MIT
//
// pagectl: flags -> runtime -> one command.
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>

#include "client/ctl/commands.h"
#include "client/ctl/compute.h"
#include "client/ctl/parse.h"
#include "client/ctl/redo_dump.h"
#include "common/runtime/asio/asio_world.h"

namespace redoubt::ctl {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 ok; 1 the command ran and found a problem (unequal pages, failed verification,\n"
    "partial restore, damaged redo); 2 wrong command line; 3 the server cannot be reached or "
    "refused;\n"
    "4 reading or writing files here failed.\n"
    "Results go to stdout, progress and errors to stderr.";

// What a command line turns into: runs in the world, returns the exit code.
using Command = std::function<Task<int>(Runtime*, Console*)>;

Status SetMode(const std::string& path, uint32_t mode) {
  std::error_code error;
  std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode), error);
  return error ? FromErrno(error.value(), "set mode of " + path) : Status::Ok();
}

// CLI11 checks: "" = fine, otherwise the message.
template <typename Parse>
CLI::Validator Parses(Parse parse, const char* name) {
  return CLI::Validator(
      [parse](std::string& text) {
        const auto result = parse(text);
        return result.ok() ? std::string() : result.status().message();
      },
      name);
}

// The text options of a moment and their meaning after parsing.
struct MomentFlags {
  std::string lsn;
  std::string time;
  bool latest = false;

  void AddTo(CLI::App* app, bool required) {
    CLI::Option_group* const group = app->add_option_group("moment");
    group->add_option("--lsn", lsn, "the last mtr that ends at or below this LSN")
        ->check(Parses(ParseLsn, "LSN"));
    group->add_option("--time", time, "ISO 8601 (UTC without a zone) or unix seconds")
        ->check(Parses(ParseTime, "TIME"));
    group->add_flag("--latest", latest, "the newest applied");
    required ? group->require_option(1) : group->require_option(0, 1);
  }
  Moment moment() const {
    Moment out;
    if (!lsn.empty()) {
      out.lsn = *ParseLsn(lsn);
    }
    if (!time.empty()) {
      out.time_unix_ns = *ParseTime(time);
    }
    return out;
  }
};

std::optional<Lsn> OptionalLsn(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<Lsn>(*ParseLsn(text));
}

class CommandLine {
 public:
  CommandLine() : app_("Reads, restores and checks volumes of a Redoubt page server.") {
    app_.footer(kFooter);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--server", server_.address, "HOST:PORT of the page server");
    app_.add_option("--timeout", timeout_seconds_, "seconds that one request may take")
        ->check(CLI::Range(1, 86400));
    app_.add_flag("--json", json_, "machine-readable output");
    AddVolume();
    AddPage();
    AddSpace();
    AddRestore();
    AddCompare();
    AddRedo();
    AddCompute();
  }

  // 0 and a command, or an exit code: help was shown, or the line is wrong.
  std::optional<int> Parse(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    server_.timeout = std::chrono::seconds(timeout_seconds_);
    if (needs_server_ && server_.address.empty()) {
      std::fprintf(stderr, "--server HOST:PORT is required for this command\n");
      return kExitUsage;
    }
    return std::nullopt;
  }
  const Command& command() const { return command_; }
  bool json() const { return json_; }

 private:
  // What the subcommand does when it is chosen.
  void On(CLI::App* subcommand, Command command) {
    subcommand->callback([this, command = std::move(command)] { command_ = command; });
  }
  CLI::App* Group(const char* name, const char* help) {
    CLI::App* const group = app_.add_subcommand(name, help);
    group->require_subcommand(1);
    return group;
  }
  void AddVolume();
  void AddPage();
  void AddSpace();
  void AddRestore();
  void AddCompare();
  void AddRedo();
  void AddCompute();

  CLI::App app_;
  ServerAddress server_;
  int timeout_seconds_ = 30;
  bool json_ = false;
  bool needs_server_ = true;
  Command command_;

  // Where CLI11 puts what it reads.
  std::string volume_;
  std::string page_;
  std::string lsn_;
  std::string from_;
  std::string to_;
  VolumeCreateOptions create_;
  VolumeDeleteOptions delete_;
  ForgetReaderOptions forget_;
  PageGetOptions get_;
  PageHistoryOptions history_;
  MomentFlags moment_;
  RestoreCommandOptions restore_;
  CompareCommandOptions compare_;
  RedoDumpOptions dump_;
  ComputeStartOptions compute_;
};

void CommandLine::AddVolume() {
  CLI::App* const group = Group("volume", "list, create, status, delete, forget-reader");
  On(group->add_subcommand("list", "all volumes of the server"),
     [this](Runtime* runtime, Console* console) { return VolumeList(runtime, console, server_); });

  CLI::App* const create = group->add_subcommand("create", "an empty volume");
  create->add_option("name", create_.name, "letters, digits, _ . -")->required();
  create->add_option("--page-size", create_.page_size, "innodb_page_size of the server to follow")
      ->check(CLI::IsMember({4096, 8192, 16384, 32768, 65536}));
  On(create, [this](Runtime* runtime, Console* console) {
    return VolumeCreate(runtime, console, server_, create_);
  });

  CLI::App* const status =
      group->add_subcommand("status", "LSNs, feed, readers, refused requests, holes, errors");
  status->add_option("name", volume_)->required();
  On(status, [this](Runtime* runtime, Console* console) {
    return VolumeStatus(runtime, console, server_, volume_);
  });

  CLI::App* const remove =
      group->add_subcommand("delete", "a volume with its redo and its history");
  remove->add_option("name", delete_.name)->required();
  remove->add_flag("--yes", delete_.confirmed, "really");
  On(remove, [this](Runtime* runtime, Console* console) {
    return VolumeDelete(runtime, console, server_, delete_);
  });

  CLI::App* const forget =
      group->add_subcommand("forget-reader",
                            "a log server stops keeping redo for a page server that will not come "
                            "back; ask each of them");
  forget->add_option("name", forget_.volume)->required();
  forget->add_option("reader", forget_.reader, "as volume status shows it")->required();
  forget->add_flag("--yes", forget_.confirmed, "really");
  On(forget, [this](Runtime* runtime, Console* console) {
    return ForgetReader(runtime, console, server_, forget_);
  });
}

void CommandLine::AddPage() {
  CLI::App* const group = Group("page", "get, history");
  CLI::App* const get = group->add_subcommand("get", "a page as of an LSN");
  get->add_option("volume", get_.volume)->required();
  get->add_option("page", page_, "SPACE:PAGE")
      ->required()
      ->check(Parses(ParsePageId, "SPACE:PAGE"));
  get->add_option("--lsn", lsn_, "default: the newest applied")->check(Parses(ParseLsn, "LSN"));
  CLI::Option* const hex = get->add_flag("--hex", get_.hex_only, "only the hex dump");
  get->add_option("--out", get_.out_file, "write the raw image to this file")->excludes(hex);
  On(get, [this](Runtime* runtime, Console* console) {
    get_.page = *ParsePageId(page_);
    get_.lsn = OptionalLsn(lsn_);
    return PageGet(runtime, console, server_, get_);
  });

  CLI::App* const history = group->add_subcommand("history", "the versions of a page");
  history->add_option("volume", history_.volume)->required();
  history->add_option("page", page_, "SPACE:PAGE")
      ->required()
      ->check(Parses(ParsePageId, "SPACE:PAGE"));
  history->add_option("--from", from_, "first LSN")->check(Parses(ParseLsn, "LSN"));
  history->add_option("--to", to_, "LSN behind the last")->check(Parses(ParseLsn, "LSN"));
  history->add_option("--max", history_.entries_max, "versions at most")
      ->check(CLI::Range(1, 1000000));
  On(history, [this](Runtime* runtime, Console* console) {
    history_.page = *ParsePageId(page_);
    history_.from = OptionalLsn(from_).value_or(Lsn());
    history_.to = OptionalLsn(to_);
    return PageHistory(runtime, console, server_, history_);
  });
}

void CommandLine::AddSpace() {
  CLI::App* const group = Group("space", "list");
  CLI::App* const list = group->add_subcommand("list", "the tablespaces as of an LSN");
  list->add_option("volume", volume_)->required();
  list->add_option("--lsn", lsn_, "default: the newest applied")->check(Parses(ParseLsn, "LSN"));
  On(list, [this](Runtime* runtime, Console* console) {
    return SpaceList(runtime, console, server_, SpaceListOptions{volume_, OptionalLsn(lsn_)});
  });
}

void CommandLine::AddRestore() {
  CLI::App* const restore =
      app_.add_subcommand("restore", "write a data directory that a stock mysqld starts on");
  restore->add_option("volume", restore_.volume)->required();
  restore->add_option("--to", restore_.directory, "an empty or a new directory")->required();
  restore->add_flag("--allow-partial", restore_.allow_partial,
                    "exit with 0 although spaces were left out");
  moment_.AddTo(restore, true);
  On(restore, [this](Runtime* runtime, Console* console) {
    restore_.moment = moment_.moment();
    restore_.set_mode = SetMode;
    return RestoreVolume(runtime, console, server_, restore_);
  });

  CLI::App* const verify = app_.add_subcommand(
      "verify", "rebuild every version of every page on the server and check it");
  verify->add_option("volume", volume_)->required();
  On(verify, [this](Runtime* runtime, Console* console) {
    return VerifyVolume(runtime, console, server_, volume_);
  });
}

void CommandLine::AddCompare() {
  CLI::App* const compare = app_.add_subcommand(
      "compare", "compare the files of a server that was shut down cleanly with the volume");
  compare->add_option("volume", compare_.volume)->required();
  compare->add_option("--datadir", compare_.datadir)->required()->check(CLI::ExistingDirectory);
  moment_.AddTo(compare, false);
  On(compare, [this](Runtime* runtime, Console* console) {
    compare_.moment = moment_.moment();
    return CompareVolume(runtime, console, server_, compare_);
  });
}

void CommandLine::AddRedo() {
  CLI::App* const group = Group("redo", "dump");
  CLI::App* const dump = group->add_subcommand("dump", "redo files as text; needs no server");
  dump->add_option("path", dump_.path, "a redo file, an #innodb_redo directory, a data directory")
      ->required();
  dump->add_option("--from", from_, "first LSN")->check(Parses(ParseLsn, "LSN"));
  dump->add_option("--to", to_, "LSN behind the last")->check(Parses(ParseLsn, "LSN"));
  dump->add_option("--page", page_, "only records of SPACE:PAGE")
      ->check(Parses(ParsePageId, "SPACE:PAGE"));
  dump->parse_complete_callback([this] { needs_server_ = false; });
  On(dump, [this](Runtime* runtime, Console* console) {
    dump_.from = OptionalLsn(from_);
    dump_.to = OptionalLsn(to_);
    if (!page_.empty()) {
      dump_.page = *ParsePageId(page_);
    }
    return DumpRedo(runtime, console, dump_);
  });
}

void CommandLine::AddCompute() {
  CLI::App* const group = Group("compute", "start, stop, status of a STATELESS mysqld here");
  const auto add = [this, group](const char* name, const char* help) {
    CLI::App* const command = group->add_subcommand(name, help);
    command->add_option("directory", compute_.directory, "of the server; scratch")->required();
    command->parse_complete_callback([this] { needs_server_ = false; });
    return command;
  };
  CLI::App* const start =
      add("start", "makes the directory, starts, returns when it serves; an older server ends");
  start->add_option("--volume", compute_.volume)->required();
  start->add_option("--log-servers", compute_.log_servers, "HOST:PORT,...: all of the volume's")
      ->required();
  start->add_option("--page-servers", compute_.page_servers,
                    "HOST:PORT,...; default: the log servers");
  start->add_option("--mysqld", compute_.mysqld, "of innodb-patch; default: from the path");
  start->add_option("--mysqld-option", compute_.more,
                    "one more option for mysqld, as --mysqld-option=--port=3306; repeatable");
  On(start, [this](Runtime* runtime, Console* console) {
    return ComputeStart(runtime, console, compute_);
  });
  On(add("stop", "a clean shutdown; waits up to --timeout"),
     [this](Runtime* runtime, Console* console) {
       return ComputeStop(runtime, console, compute_.directory, server_.timeout);
     });
  On(add("status", "whether it runs; exit code 1: it does not"),
     [this](Runtime* runtime, Console* console) {
       return ComputeStatus(runtime, console, compute_.directory);
     });
}

int Main(int argc, char** argv) {
  CommandLine line;
  if (const std::optional<int> exit_code = line.Parse(argc, argv)) {
    return *exit_code;
  }
  AsioWorldOptions world_options;
  world_options.log_level_min = LogLevel::kWarning;
  world_options.handle_signals = false;  // Ctrl-C simply ends it
  AsioWorld world(world_options);
  ConsoleOptions console_options;
  console_options.json = line.json();
  console_options.progress_bar = isatty(STDERR_FILENO) != 0;
  winsize window{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) {
    console_options.columns = window.ws_col;
  }
  Console console(world.runtime().scheduler, console_options);
  return world.Run(line.command()(&world.runtime(), &console));
}

}  // namespace
}  // namespace redoubt::ctl

int main(int argc, char** argv) { return redoubt::ctl::Main(argc, argv); }
