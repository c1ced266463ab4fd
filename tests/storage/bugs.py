"""Bugs that the tests of storage must find: small mistakes of the kind that people make."""

from __future__ import annotations

from tests.storage.planted import PlantedBug, crashes, faults, test

BUGS = (
    # ---------------------------------------------------------------- what is durable when
    PlantedBug(
        "a record is synced before its rows",
        "writer.py",
        """
                placement.segments.write()
                placement.segments.sync()
                commits.write(placement.commits)
                commits.sync(placement.version)
""",
        """
                commits.write(placement.commits)
                commits.sync(placement.version)
                placement.segments.write()
                placement.segments.sync()
""",
        crashes("append"),
    ),
    PlantedBug(
        "segments are not synced",
        "segments.py",
        "        for file, _ in self._written:\n            sync_file(file)",
        "        pass",
        crashes("append"),
    ),
    PlantedBug(
        "commits are not synced",
        "commits.py",
        "        sync_file(self.file)\n        self.end, self.seal = self._staged",
        "        self.end, self.seal = self._staged",
        crashes("append"),
    ),
    PlantedBug(
        "a new commit file is used before its base is synced",
        "commits.py",
        "        sync_file(file)\n        commits.base",
        "        commits.base",
        crashes("roll of commit files"),
    ),
    PlantedBug(
        "the name of a new commit file is not synced",
        "chain.py",
        "            sync_directory(self._storage, self._directory.commits)\n        except OSError:\n            with",
        "        except OSError:\n            with",
        crashes("roll of commit files"),
    ),
    PlantedBug(
        "the name of a new segment is not synced",
        "segments.py",
        "        sync_directory(self._storage, directory)\n",
        "",
        crashes("append"),
    ),
    PlantedBug(
        "FORMAT gets its name before it is synced",
        "directory.py",
        "    sync_file(file)\n    file.close()\n    storage.rename",
        "    file.close()\n    storage.rename",
        crashes("append"),
    ),
    PlantedBug(
        "the name of FORMAT is not synced",
        "directory.py",
        "        storage.sync_dir(path)  # a killed process may have named FORMAT, and not synced that\n",
        "",
        crashes("append"),
    ),
    PlantedBug(
        "a commit file is marked before the next one is durable",
        "chain.py",
        "        self._remove_remains()\n",
        "        self._remove_remains()\n        self.current.mark_rolled()\n",
        crashes("roll of commit files"),
    ),
    PlantedBug(
        "an image is published before it is synced",
        "images.py",
        "        sync_file(file)\n        storage.sync_dir(directory)",
        "        storage.sync_dir(directory)",
        crashes("checkpoint"),
    ),
    PlantedBug(
        "the name of an image is not synced",
        "images.py",
        "        sync_file(file)\n        storage.sync_dir(directory)",
        "        sync_file(file)",
        crashes("checkpoint"),
    ),
    # ---------------------------------------------------------------- recovery
    PlantedBug(
        "what a crash left behind the end is not cut",
        "chain.py",
        "        if repair:\n            self.current.cut()",
        "",
        crashes("group commit"),
    ),
    PlantedBug(
        "what a killed process left unsynced is not synced when the log is opened",
        "commits.py",
        "            self.file.truncate(self.end)\n        self.file.sync()",
        "            self.file.truncate(self.end)",
        crashes("append"),
    ),
    PlantedBug(
        "damage passes for a torn write",
        "commits.py",
        "        if self._was_durable(self.end):",
        "        if False:",
        test("test_commits.py::test_damage_before_a_later_group_is_refused_and_nothing_is_cut"),
    ),
    PlantedBug(
        "each record says that it is a group of its own",
        "commits.py",
        "crc32c(payload), base=self.chain.start, version=record.version)",
        "crc32c(payload), base=self.chain.end, version=record.version)",
        crashes("group commit"),
    ),
    PlantedBug(
        "a commit file follows one that went on after it was begun",
        "chain.py",
        "if bad is not None or newest.previous != before.seal:",
        "if bad is not None:",
        test("test_commits.py::test_a_next_file_after_which_the_one_before_went_on_is_removed"),
    ),
    PlantedBug(
        "a commit file that was in use is removed as the remains of a roll",
        "chain.py",
        "        if newest.has_commits():",
        "        if False:",
        test("test_commits.py::test_a_next_file_is_not_removed_if_it_has_a_commit"),
    ),
    PlantedBug(
        "what an earlier roll left behind stays in the way of the next",
        "chain.py",
        "        self._remove_remains()\n",
        "",
        test("test_commits.py::test_what_is_in_the_way_of_the_next_file_is_removed_when_the_log_is_rolled"),
    ),
    PlantedBug(
        "the commit log of another database is accepted",
        "chain.py",
        "        if self.state.origin != self._directory.origin:",
        "        if False:",
        test("test_commits.py::test_the_commit_log_of_another_database_is_refused"),
    ),
    PlantedBug(
        "a frame of an earlier life is taken for the next one",
        "frames.py",
        "        if header.previous != seal:",
        "        if False:",
        test("test_commits.py::test_a_record_of_an_earlier_life_does_not_follow_a_record_of_this_one"),
    ),
    # ---------------------------------------------------------------- damage
    PlantedBug(
        "the checksum of a payload is not checked",
        "frames.py",
        "    if crc32c(payload) != header.payload_crc:",
        "    if False:",
        test("test_opening.py::test_damaged_rows_are_named_and_all_others_are_readable"),
    ),
    PlantedBug(
        "the checksum of a header is not checked",
        "frames.py",
        "    if crc32c(magic[3:] + data[_PREFIX.size : HEADER_BYTES]) != seal:",
        "    if False:",
        test("test_checksums.py::test_any_flipped_bit_of_a_header_is_noticed"),
    ),
    PlantedBug(
        "the checksum of a column is not checked",
        "rows.py",
        "            if len(message) != size or crc32c(message) != crc:",
        "            if len(message) != size:",
        test("test_columns.py::test_a_damaged_column_does_not_matter_until_it_is_read"),
    ),
    PlantedBug(
        "all columns count as verified as soon as one is",
        "rows.py",
        "            verified |= 1 << number",
        "            verified = ALL",
        test("test_columns.py::test_a_damaged_column_does_not_matter_until_it_is_read"),
    ),
    PlantedBug(
        "a frame is taken for the one that was committed without a look at its seal",
        "rows.py",
        "    if found != seal or header.kind not in (",
        "    if header.kind not in (",
        test("test_checksums.py::test_a_file_of_whole_frames_in_the_place_of_another_is_noticed"),
    ),
    PlantedBug(
        "an index file is trusted that was made of another commit file",
        "index_files.py",
        " or header.previous != _last_seal(commits):",
        ":",
        test("test_checksums.py::test_the_index_of_a_commit_file_with_other_commits_is_not_used"),
    ),
    # ---------------------------------------------------------------- failures
    PlantedBug(
        "a failed sync is tried again",
        "files.py",
        """
    try:
        file.sync()
    except OSError as error:
        raise SyncFailed(error.errno, error.strerror) from error


def sync_directory""",
        """
    try:
        file.sync()
    except OSError as error:
        file.sync()


def sync_directory""",
        faults("append"),
    ),
    PlantedBug(
        "a short write is not gone on with",
        "files.py",
        "        if written < size:\n",
        "        if False:\n",
        faults("append"),
    ),
    PlantedBug(
        "rows are taken back before the record that names them",
        "writer.py",
        "            commits.undo()  # first: a record must not outlive its rows\n            segments.undo()",
        "            segments.undo()\n            commits.undo()",
        test("test_failures.py::test_a_commit_that_is_being_taken_back_is_gone_or_whole_after_every_crash"),
    ),
    PlantedBug(
        "a commit that is taken back stays in the file",
        "commits.py",
        "            self.file.truncate(self.end)\n            sync_file(self.file)\n            self._staged = None",
        "            self._staged = None",
        test("test_failures.py::test_a_commit_that_is_being_taken_back_is_gone_or_whole_after_every_crash"),
    ),
    PlantedBug(
        "the number of a schema outlives the commit that failed to bring it",
        "writer.py",
        "number = self.new_schemas[identity] =",
        "number = self._schemas[identity] = self.new_schemas[identity] =",
        faults("append"),
    ),
    PlantedBug(
        "the stamp of a commit that failed counts",
        "writer.py",
        "        self._producers = state.producers.copy()",
        "        self._producers = state.producers",
        faults("producers"),
    ),
    PlantedBug(
        "offsets of a refused commit count for the others of its group",
        "writer.py",
        "        groups = self._groups.copy()\n",
        "        groups = self._groups\n",
        test("test_log.py::test_a_refused_commit_changes_nothing_for_those_that_share_a_sync_with_it"),
    ),
    PlantedBug(
        "the commits of others fail when the thread that leads them is interrupted",
        "writer.py",
        "            if self._fault is None:\n                self._queue[:0] = others",
        "            if False:\n                self._queue[:0] = others",
        test("test_failures.py::test_interrupting_one_thread_does_not_lose_the_commits_of_those_it_leads"),
    ),
    # ---------------------------------------------------------------- the state
    PlantedBug(
        "kept notes are missing in the base of a commit file",
        "state.py",
        '            "kept": list(self.kept.items()),',
        '            "kept": [],',
        crashes("everything", 50),
    ),
    PlantedBug(
        "consumer groups are missing in the base of a commit file",
        "state.py",
        '        state.groups = Groups.from_json(packed["groups"])',
        "        state.groups = Groups()",
        crashes("consumers", 50),
    ),
    PlantedBug(
        "the answers of a producer's last commits are not in the base of a commit file",
        "producers.py",
        "tuple(_unpack(accepted) for accepted in window)",
        "()",
        crashes("producers", 50),
    ),
    PlantedBug(
        "commit times go back when the clock does",
        "writer.py",
        "        self.time_us = max(now_us, state.time_us)",
        "        self.time_us = now_us",
        test("test_log.py::test_commit_times_come_from_the_clock_and_never_go_back"),
    ),
    # ---------------------------------------------------------------- producers and groups
    PlantedBug(
        "a commit that is sent again gets another answer",
        "writer.py",
        "(request, Commit(accepted.version, self",
        "(request, Commit(self.version, self",
        test("test_log.py::test_a_commit_that_is_sent_again_gets_the_answer_that_it_got_however_much_came_between"),
    ),
    PlantedBug(
        "a producer that was replaced is not kept out",
        "producers.py",
        "        if stamp.epoch < known.epoch:",
        "        if False:",
        crashes("fencing", 50),
    ),
    PlantedBug(
        "a new epoch is not durable",
        "writer.py",
        '            effects["register"] = [producer, epoch, request.register]',
        '            effects |= {"register": [producer, epoch, request.register]} if epoch == 1 else {}',
        crashes("fencing", 50),
    ),
    PlantedBug(
        "offsets of an older generation are accepted",
        "groups.py",
        "        self.check(committed)\n",
        "",
        test("test_groups.py::test_a_consumer_of_an_older_generation_is_fenced_and_changes_nothing"),
    ),
    # ---------------------------------------------------------------- images and retention
    PlantedBug(
        "a chunk of an image is taken for one with the same checksum",
        "images.py",
        "            if place is None or not self._has(place, rows):",
        "            if place is None:",
        test("test_checksums.py::test_a_chunk_of_an_image_is_not_taken_for_another_with_the_same_checksum"),
    ),
    PlantedBug(
        "image files that a younger image refers to are removed",
        "retention.py",
        "for number in (image.number, *image.others)}",
        "for number in (image.number,)}",
        crashes("checkpoint", 50),
    ),
    PlantedBug(
        "a segment goes one version too early",
        "state.py",
        "        stream.segments = [s for s in stream.segments[:-1] if s.version > version]",
        "        stream.segments = [s for s in stream.segments[:-1] if s.version > version + 1]",
        test("test_retention.py::test_a_stream_can_begin_at_any_version"),
    ),
    PlantedBug(
        "a commit file goes although rows in it are needed",
        "chain.py",
        "min([self.state.history, *(stream.oldest + 1 for stream in self.state.streams.values())])",
        "self.state.history",
        test("test_retention.py::test_commit_files_stay_while_a_stream_has_rows_in_them"),
    ),
    PlantedBug(
        "segments go before the commit that drops them",
        "log.py",
        "        commit = self._submit(Request(packed_note=pack_json(note or {}), removal=removal))\n",
        "        for s, (start, _) in removal.starts.items():\n"
        "            for segment in self.state.streams[s].segments[:-1]:\n"
        "                if segment.version <= start.version:\n"
        "                    self._storage.remove(self._segments.path(s, segment.number))\n"
        "        commit = self._submit(Request(packed_note=pack_json(note or {}), removal=removal))\n",
        crashes("retention"),
    ),
    PlantedBug(
        "files go while somebody reads them",
        "readers.py",
        "            if self._active:",
        "            if False:",
        test("test_retention.py::test_a_scan_that_began_before_goes_on_and_the_files_go_when_it_ends"),
    ),
    PlantedBug(
        "what was not removed before a crash stays for ever",
        "log.py",
        "        self._remover.remove_unneeded(streams)\n",
        "",
        test("test_retention.py::test_what_a_crash_left_to_be_removed_is_removed_when_the_log_is_opened"),
    ),
)
