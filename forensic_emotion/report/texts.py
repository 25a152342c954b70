"""The texts of the report, nearly all, in one place: a translation is another file like this one.

``{name}`` is filled in by the template or, for the keys in ``SCRIPT``, by the report's script.
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # ---- cover and navigation ----
    "title": "Faces and expression scores",
    "skip": "Skip to the content",
    "case": "Case",
    "agency": "Agency",
    "examiner": "Examiner",
    "note": "Note",
    "evidence_folder": "Evidence",
    "scanned": "Scanned",
    "scanned_by": "by {user} on {host}, run {run}",
    "not_ended": "not ended",
    "nav": "Sections",
    "nav_limits": "Limits",
    "nav_findings": "Overview",
    "nav_faces": "Faces",
    "nav_recordings": "Recordings",
    "nav_evidence": "Evidence",
    "nav_problems": "Problems",
    "nav_methods": "Methods",
    "paths": "paths discovered",
    "frames": "frames analysed, of {decoded} decoded (copies counted once)",
    "hidden_frames": "{n} more hidden by edit lists",
    "faces_found": "face detections, frame by frame (copies counted once)",
    "uncertain_share": "of the detections were given no class (uncertain)",
    "no_threshold": "the model has no threshold: every face is given a class",
    "altered": "This case was altered",
    "altered_paths": "Paths whose rows are not what the scan wrote: {n}. femo verify lists them."
    " What is shown below is not what the scan found.",
    "not_altered": "When this report was made, all rows of the run were as the scan had written"
    " them; its settings, versions, model and examiner, and the reviews, matched the audit table;"
    " and the chain of that table was intact.",
    "problems_found": "problems",
    "redacted": "Redacted: faces are pixelated; files are identified by their numbers in the case;"
    " locations, metadata and times of files, texts of problems, names of hash lists, and notes are"
    " left out. The case number, the names of the case file, examiner, agency, reviewers, account"
    " and host, and the hashes of files remain: anyone who has a file can tell that it is among"
    " them.",
    "withheld": "(withheld)",
    "selected": "A selection",
    "selection": "Only part of what was found is shown: {words}. Faces: {faces} of {all_faces};"
    " paths: {paths} of {all_paths}. The counts on the cover and under Limits, and those by label,"
    " state and review under “At a glance”, cover the whole run; so do the frame and face counts of"
    " each file in the evidence table, and the facts about a track.",
    "none_selected": "None in the selection.",
    "incomplete": "This run is not complete",
    "incomplete_text": "Its state is “{state}”. {done} of {all} discovered paths were processed;"
    " the others were not analysed.",
    "unknown_number": "an unknown number of",
    # ---- limits ----
    "limits": "What these scores say, and what they do not",
    "limits_text": "A score says how a classifier rates a picture of a face against the categories"
    " of its training pictures. It does not show what a person felt, intended or experienced, or"
    " whether they were truthful. It is a lead for a person to review, face by face, and is not for"
    " use in the workplace or in education in the European Union.",
    "limits_people": "How people move their faces varies with culture, situation and person (Barrett et al. 2019, doi 10.1177/1529100619832930).",
    "error_rate": "Measured error rate: {error}",
    "error_text": "of the highest-scoring classes differed from the label of the test picture (95 %"
    " interval {low} to {high}), on the {n} pictures of {split}. Those pictures are already cropped"
    " to a face: on faces cropped by a detector, and on other material such as surveillance video,"
    " the rate was not measured and may be higher. Faces that the detector misses or reports by"
    " mistake are not part of this rate.",
    "calibrated": "The highest score of each face is calibrated on held-out pictures of the"
    " training set: ideally, a highest score of 0.9 is right in 9 of 10 cases. On the test"
    " pictures, the highest scores and the share of right answers differ by {ece} on average,"
    " partly by chance; for a single class, or near the threshold, they may differ more. The"
    " calibration of a face's other six scores was not measured, nor that of any score on other"
    " material.",
    "not_calibrated": "The scores of this model are not calibrated: a score of 0.9 does not mean"
    " that the answer is right in 9 of 10 cases.",
    "threshold": "Faces whose highest score is not above {threshold} are labelled uncertain (scores"
    " are shown truncated to three digits). With this threshold the model answers {coverage} of the"
    " same test pictures",
    "threshold_error": ", and {error} of those answers are wrong (95 % interval {low} to {high})",
    "wrong_by_class": "Share of wrong answers, by class answered:",
    "mix": "All these rates hold for the test set's mix of classes, and change with the mix.",
    "wrong_of_class": "{label} {error} ({low} to {high}, n = {n})",
    "rare": " If {mostly} of the faces were {common} and the others mixed as in the test set, only"
    " about {right} of the answers {label} would match the label.",
    "repeats": "Frames of one face are not independent observations: an answer that is wrong in one"
    " is likely to be wrong in the next. Many identical answers do not make an answer more certain, and"
    " the intervals apply to separate pictures.",
    "threshold_near": " Near the threshold errors are more frequent: {error} of the test pictures"
    " scored {low} to {high}, whether below or above it (n = {n}).",
    "without_twins": " On the {n} of them without a pixel-identical copy among the training"
    " pictures: {error} (95 % interval {low} to {high}).",
    "error_unknown": "The error rate of this model is not known",
    "error_unknown_text": "its model.json holds no measurement on a test split. Its scores must not be"
    " relied on.",
    "measured_notes": "How the model was made and measured:",
    "lead": "The detector makes errors too: what it reports may not be a face, especially where its"
    " own score is low. Where no face was detected, none was detected at the settings listed under"
    " Methods; that does not prove that there is none.",
    "not_covered": "What was not covered",
    "not_covered_other": "The case also holds other evidence, which this report does not cover: run"
    " {run}, {root}.",
    "not_covered_skipped": "Paths that were not analysed: {n} ({why}).",
    "not_covered_partial": "Paths that were analysed only in part, or that changed: {n} ({why}); see Problems.",
    "not_covered_several": "; some have more than one",
    "not_covered_none": "No path was left out.",
    "not_covered_run": "The case holds another run over the same evidence, which this report does"
    " not cover: run {run}, {state}, model {model}, faces: {faces}. femo compare lists the"
    " differences.",
    "not_covered_again": "The scan was interrupted and resumed at {at}. What had been analysed by"
    " then was not analysed again, even if it changed since; femo verify --evidence checks for"
    " changes.",
    "not_covered_unfinished": "The run did not finish: {done} of {all} paths were processed.",
    "not_covered_frames": "{n} of {all} decoded frames were not analysed: the sampling “{sampling}”"
    " leaves them out.",
    "not_covered_all_frames": "No decoded frame was left out.",
    "not_covered_keys": "Of video, only key frames were decoded; the frames between them were"
    " neither analysed nor counted.",
    "access_times": "This scan may have changed the access times of {n} files: the system lets only"
    " a file's owner read it without changing them. The evidence table has the earlier times,"
    " marked “not kept”.",
    "not_covered_hidden": "{n} frames hidden by edit lists were not analysed.",
    "not_covered_size": "Faces smaller than {least} pixels are likely to be missed; in large"
    " pictures this limit rises to as much as {most} (see “Frames analysed” of each file).",
    "not_covered_size_one": "Faces smaller than {least} pixels are likely to be missed.",
    "not_covered_deleted": "Deleted files, archives and pictures embedded in documents were not examined.",
    "not_covered_within": "Some parts of pictures are not analysed, and the files that have them"
    " are not listed: gain maps, hidden pictures in HEIF, the smaller pictures of an icon, PSD"
    " layers that are not displayed, and data after the end of a TIFF, ICO, PSD, JPEG 2000 or"
    " compressed BMP.",
    # ---- findings ----
    "findings": "At a glance",
    "by_label": "Faces by label, and how such answers fared on {split}, where a picture left"
    " uncertain counts as missed. The shares hold for the test set's mix of classes and for faces"
    " of its quality: where a class is rarer than there, or a face is poor, more of the answers are"
    " wrong",
    "counted": "A face is counted in each frame analysed: one person in ten frames counts ten"
    " times, so these numbers depend on the sampling.",
    "poor_faces": "Of these, poor",
    "not_measured": "the test set (not measured)",
    "label": "Label",
    "faces": "Faces",
    "share": "Share",
    "precision": "Precision: right among test pictures with this answer (95 % interval)",
    "answers": "{share} of {n}",
    "answers_interval": "({low} – {high})",
    "recall": "Recall: found among test pictures with this label",
    "tested": "Test pictures",
    "by_file": "Files with most faces",
    "file": "File",
    "labels_of_file": "Labels",
    "more_files": "{n} more files with faces are in the evidence table.",
    "by_date": "Faces by day of recording, according to the files",
    "by_date_note": "As stated in the files, each in its own time zone (UTC in most videos) or in"
    " none: two files from the same moment may appear under different days. Camera clocks are often"
    " wrong. {n} faces are in files that give no day.",
    "no_dates": "No file says when it was recorded.",
    "day": "Day",
    "month": "Month",
    "states": "How processing ended for each path",
    "state": "State",
    "paths_in_state": "Paths",
    "meaning": "Meaning",
    "reviewed": "What reviewers said",
    "reviewed_text": "{n} of {all} faces were reviewed: {confirmed} confirmed, {relabelled} relabelled, {rejected} rejected. Reviewers: {reviewers}; the last review of each face counts. Faces whose review was changed or withdrawn: {overruled}.",
    "agreed": "Of the {judged} whose expression was judged, reviewer and machine agree on {share} (95 % interval {low} to {high}){kappa}.",
    "agreed_answered": "Of those that the machine answered, {share} ({n} judged).",
    "agreed_uncertain": "Of those that it left uncertain, {share} ({n} judged), by the highest-scoring class.",
    "kappa": "; Cohen's kappa {value}",
    "agreement_table": "Judged faces: rows are the machine's highest-scoring classes, columns the"
    " reviewers' classes",
    "reviewing": "You are reviewing as {name}. Your reviews are stored in the case with your name"
    " and the time, and chained in its audit table; femo's own results are not changed. Open a face"
    " to begin.",
    "none_reviewed": "No face was reviewed.",
    "reload": "Reload this page to update these figures.",
    # ---- faces ----
    "faces_title": "Faces",
    "no_faces": "No face was detected at these settings.",
    "nothing_looked_at": "No frame was analysed, so nothing can be said about faces.",
    "left_out": "{n} faces are in the case but not shown here",
    "left_out_how": "(--max-faces). All of them:",
    "pictures_left_out": "{n} faces are shown without their picture, to keep this file small"
    " (--picture-budget). All pictures are in the case (table faces, column thumbnail).",
    "recordings_need_script": "The charts need JavaScript; the faces and times are in the case too.",
    "needs_script": "The gallery needs JavaScript, which is switched off. Print this page from a"
    " browser with JavaScript; without it no face is shown. Anyone with the case file can list the"
    " faces: femo query CASE faces.",
    # ---- recordings ----
    "recordings": "Recordings",
    "recordings_text": "Each dot is a face: its height is the highest score, its colour the class;"
    " a ring is an uncertain face. Dots of a track are joined where one follows the other within"
    " two sampled frames; frames between dots were not analysed. Where there is no dot, no face was"
    " detected, or none was looked for. A track links faces by position and motion; it does not"
    " identify anyone.",
    "recordings_selected": "Faces that were not selected have no dot and no line.",
    "no_recordings": "No face was detected in any analysed frame of a recording.",
    "no_recording_seen": "No frame of a recording was analysed.",
    "recording_partly": "Analysed only in part, or changed; see Problems.",
    "recording_facts": "last frame {length} after the first, {frames} of {decoded} frames analysed;"
    " faces: {faces}, tracks: {tracks}",
    "recording_keys": "last frame {length} after the first, {frames} of {decoded} key frames"
    " analysed; faces: {faces}, tracks: {tracks}",
    "recording_left_out": "{n} of its faces are not shown in this report (--max-faces).",
    # ---- evidence ----
    "evidence": "Evidence",
    "evidence_left_out": "{n} further paths are in the case but not shown here. All of them:",
    "path": "Path",
    "type": "Type by content",
    "bytes": "Bytes",
    "looked_at": "Frames analysed",
    "times": "Modified · changed · accessed · created (UTC)",
    "not_kept": "access time not kept",
    "says": "File's own metadata (not verified)",
    "same_bytes": "same bytes as {path}",
    "is_notable": "notable: its hash is in {list}",
    "is_known": "known: its hash is in {list}",
    "misnamed": "its name does not match its content",
    "unnamed": "its name does not suggest a picture or video",
    "recorded": "recorded {value} ({tag}; {zone})",
    "zone_offset_tag": "time zone from a separate tag",
    "zone_in_value": "time zone given with it",
    "zone_format": "UTC according to the format, which many cameras ignore",
    "zone_gps": "time zone derived from the GPS timestamp",
    "zone_none": "no time zone",
    "gps_at": "GPS timestamp {value}",
    "leads_to": "links to {value}",
    "place": "location {latitude}, {longitude}",
    "camera": "camera {name}",
    "smallest": "faces from {n} px",
    "duplicates": "The same bytes under several paths",
    "copies": "Paths",
    "none": "None.",
    "notable_matches": "Known and notable",
    "list": "List",
    "matches_left_out": "{n} more are in the case (table files, columns known and notable).",
    # ---- problems ----
    "problems": "Problems",
    "stage": "Stage",
    "class": "Class",
    "message": "What happened",
    # ---- methods ----
    "methods": "Methods",
    "methods_1": "Each file was opened read-only, hashed, and identified by its content. Stills"
    " were decoded by Pillow (HEIF through libheif), video by FFmpeg. Transparent parts were"
    " composited on white; a colour profile or gamma was applied where it changes brightness by"
    " more than a quarter. A decoder may conceal damage; in particular, truncation of an MPEG"
    " transport stream or a fragmented MP4, and gaps in ASF and MXF, cannot be detected.",
    "methods_2": "The time of a video frame is its own presentation timestamp, on the recording's"
    " clock. The setting sample says which frames were analysed: the first frame of each interval"
    " of a given number of seconds, counted from the first frame (every), key frames, frames that"
    " differ greatly from the one before (scenes), or all. Of an interlaced frame, one field was"
    " analysed; non-square pixels were stretched to the displayed shape. Frames hidden by a file's"
    " edit list were not analysed.",
    "methods_3": "Faces were found by the detector named with each: centerface is a convolutional"
    " network (Xu et al. 2019), its score lies between 0 and 1; hog is dlib's frontal face"
    " detector, which finds upright faces that look towards the camera and often misses turned,"
    " hidden and small ones, and mmod dlib's convolutional one; their score is the margin of a"
    " classifier. No detector finds all faces, and each sometimes mistakes other things for faces."
    " A face is marked poor where it is small, blurred, dark, bright, turned, cut off by the"
    " border, or where the landmarks do not fit (not every hidden mouth or eye is noticed); its"
    " scores are less reliable than the measured error rate says. Head pose is a rough estimate."
    " Boxes are in pixels of the picture as displayed, counted from 0, left and top inclusive,"
    " right and bottom exclusive. dlib's shape predictor placed 68 landmarks, and a 48 × 48"
    " greyscale picture of the face with its landmarks was scored by the model. Scores are"
    " truncated to three digits, so the seven of a face may add up to less than 1.",
    "settings": "Settings",
    "command": "command",
    "model": "Model",
    "confusion": "Confusion matrix on {split} ({n} pictures): rows are the labels of the test set, columns"
    " the model's answers",
    "reliability": "How often an answer with a given score was right on {split}: share, 95 %"
    " interval, number of pictures. On the dotted line, score and share are equal.",
    "score_between": "Score",
    "right": "Right",
    "interval": "95 % interval",
    "robustness": "The same pictures degraded: share of right answers. Compression does not mark a"
    " face as poor, and mild enlargement may not.",
    "wrong_answered": "Wrong among those answered (95 % interval)",
    "condition": "Condition",
    "integrity": "Integrity",
    "integrity_text": "Anyone who has the case can check all of this with femo verify. The digests"
    " cover what was found: each path of the run with its faces, tracks and problems. How it was"
    " found (settings, versions, model, examiner) and what reviewers said is recorded in the audit"
    " table; the head chains its entries up to the last one that may have changed results. To"
    " anyone who kept these values elsewhere, they reveal changes made after the scan; they show"
    " nothing about what happened before it. The SHA-256 of the case file itself changes with each"
    " audit entry, including the one for this report; femo info prints it.",
    "row_digest": "Digest of all rows",
    "results_digest": "Digest of the results",
    "audit_head": "Audit head",
    "custody": "What was done with the case, up to the last change of its results; femo info also"
    " lists reports, exports and checks",
    "when": "When",
    "action": "What",
    "who": "By",
    "with": "With",
    "reviews_between": "reviews: {n}",
    "until": "until {at}",
    "machine": "Machine",
    "model_hash": "Model weights",
    "legal": "Legal and scientific notes",
    "versions": "Versions",
    "footer": "Scores of a classifier, not findings about what anyone felt. Written by femo {version} from {title}, run {run}.",
    "footer_model": "Model {hash}.",
}

LEGAL: tuple[tuple[str, str], ...] = (
    (
        "What a face shows. Facial movements vary substantially across cultures, situations, and people in"
        " one situation; a scowl is often no sign of anger.",
        "Barrett, Adolphs, Marsella, Martinez & Pollak 2019, Psychological Science in the Public Interest"
        " 20(1), 1–68, doi 10.1177/1529100619832930",
    ),
    (
        "European Union: what counts. Regulation (EU) 2024/1689, Article 3(39), calls a system that"
        " infers emotions or intentions from biometric data emotion recognition. Under Recital 18,"
        " detecting a readily apparent expression (a frown, a smile) is not, unless it is used to"
        " infer an emotion.",
        "Artificial Intelligence Act; that femo names classes of expressions does not decide what a user"
        " makes of them",
    ),
    (
        "European Union: what is prohibited or high-risk. Article 5(1)(f) prohibits inferring"
        " emotions at work and in education, except for medical and safety reasons, since 2"
        " February 2025; Recital 44 names limited reliability, lack of specificity and limited"
        " generalisability. Annex III makes other emotion recognition high-risk (1(c)), and for law"
        " enforcement also polygraphs and the like (6(b)) and what rates the reliability of"
        " evidence (6(c)); these duties were postponed to 2 December 2027. Under Article 50(3),"
        " from 2 August 2026, whoever uses emotion recognition must inform the people exposed to"
        " it, except where the law permits its use against crime.",
        "Artificial Intelligence Act, as changed by the Digital Omnibus (Council, 29 June 2026); the dates are"
        " from secondary sources: check them in the Official Journal",
    ),
    (
        "Authorities and vendors. The European data protection authorities call inferring a"
        " person's emotions highly undesirable and ask that it be prohibited; the UK authority"
        " warned that the technology may not work yet, or ever. Microsoft withdrew emotion"
        " recognition from its face service: there is no scientific consensus on what an emotion is"
        " or how a face shows it.",
        "EDPB-EDPS Joint Opinion 5/2021; Information Commissioner's Office, 26 October 2022; Microsoft, 21 June"
        " 2022",
    ),
    (
        "United States. Federal Rule of Evidence 702 (as amended in 2023) asks the proponent to"
        " show that a method was reliably applied; Daubert names testing, peer review, a known"
        " error rate, standards and acceptance. Rule 902(14) lets copied data be authenticated by"
        " hash and certification. A proposed Rule 707, on machine-generated evidence, was not taken"
        " further in May 2026, so Rule 702 governs. State v. Puloka excluded video enhanced by"
        " machine learning: the method was opaque and not peer-reviewed.",
        "Federal Rules of Evidence 702, 902(14); Daubert v. Merrell Dow Pharmaceuticals, 509 U.S. 579"
        " (1993); State v. Puloka (King County Superior Court, Washington, 2024)",
    ),
    (
        "Error rates. One rate is not enough: name the sources of error and what was done about each.",
        "ASTM E3016-18, Standard Guide for Establishing Confidence in Digital and Multimedia Evidence"
        " Forensic Results by Error Mitigation Analysis",
    ),
    (
        "Bias. Classifiers of this kind are more likely to rate faces of people labelled as not"
        " white as negative, even where they smile, and FER2013 is among the sets audited for bias."
        " How this model fares by group was not measured: FER2013 does not say. Data sets described"
        " as natural contain many posed faces.",
        "Khan & Stinson 2025, arXiv 2507.10755; arXiv 2502.11049",
    ),
    (
        "The state of the art. A carefully tuned single network was right on 73.28 % of FER2013's test pictures in"
        " 2021, and higher figures have been published since (74.42 % in 2022): about one in four is wrong, on"
        " pictures like those that it learnt from.",
        "Khaireddin & Chen 2021, arXiv 2105.03588; Pecoraro, Basile & Bono 2022, Information 13(9), 419, arXiv"
        " 2111.07224",
    ),
    (
        "Standards. Best practice exists for video analysis with artificial intelligence, for"
        " comparing faces and for authenticating images. As far as femo's makers know, none of it"
        " validates inferring emotions, and a guide on governing artificial intelligence in"
        " forensics is a draft.",
        "SWGDE 20-V-001; ENFSI-BPM-DI-01 (2018) and DI-03 (2021); ASTM WK96121",
    ),
)

SCRIPT: dict[str, str] = {
    "search_table": "Search in this table",
    "rows_shown": "{n} of {all} rows",
    "shown": "{n} of {all} faces",
    "nothing": "No face matches these filters.",
    "search": "Search in names, labels and notes",
    "any_label": "any label",
    "any_class": "any class",
    "any_file": "any file",
    "any_quality": "any quality",
    "chart_scale": "Each lane goes from score 0 to 1.",
    "good": "without faults",
    "unjudged": "not judged",
    "timed_only": "Stills, and frames without a time, are left out.",
    "no_such_face": "There is no face {id} in this report.",
    "poor": "poor in any way",
    "any_track": "any track",
    "any_review": "reviewed or not",
    "reviewed": "reviewed",
    "unreviewed": "not reviewed",
    "sort": "Sort by",
    "sort_order": "evidence",
    "sort_score": "highest score",
    "sort_low": "lowest score",
    "sort_size": "largest face",
    "sort_time": "time in the recording",
    "sort_detector": "detector's score",
    "label": "Label",
    "class": "Highest class",
    "file": "File",
    "quality": "Quality",
    "review": "Review",
    "least_score": "Score at least",
    "least_size": "Pixels at least",
    "from": "From second",
    "to": "To second",
    "track": "Track",
    "blur": "Blur pictures",
    "reset": "Reset filters",
    "keys": "Keys, while this section has the focus: arrows move, Enter opens, Escape closes, /"
    " searches, b blurs",
    "face_of": "Face {n} of {all}",
    "close": "Close",
    "previous": "Previous",
    "next": "Next",
    "no_picture": "picture left out",
    "broken_picture": "no picture",
    "marks": "Box and landmarks",
    "highest": "highest: {label}",
    "scores": "Scores of the seven classes",
    "worth": "Of the test pictures whose highest score lay between {low} and {high}, the"
    " highest-scoring class matched the label in {right} (95 % interval {from} to {to}, n = {n}),"
    " all classes together.",
    "worth_class": " Of the test pictures answered {label}, with any score above the threshold, {right} have that"
    " label ({from} to {to}, n = {n}). Both figures hold for the test set's mix of classes.",
    "lead": "A score is a lead for a person to review; it does not show what anyone felt.",
    "worth_poor": "This face is poor ({words}). How often such a score is right on such a face was"
    " not measured; on degraded test pictures fewer were right (see Methods).",
    "worth_degraded": " Worst was {name}: {value} of the answers were wrong (95 % interval {low} to"
    " {high}); pictures worse than those were not measured.",
    "worth_unknown": "How often such a score is right was not measured.",
    "where": "Where and when",
    "still": "still picture",
    "page": "page {n}",
    "frame": "frame {n}",
    "stream": "stream {n}",
    "within": "of the video embedded in the picture file",
    "pts": "presentation timestamp {pts} × {base} s = {seconds} s",
    "clock": "by the file's own clock {when}, not checked",
    "clock_there": "{when} ({there} {zone})",
    "no_clock": "clock time: the file gives no usable time",
    "clock_withheld": "clock time: withheld",
    "says_recorded": "the file says: {value}, {zone}",
    "copies": "the same bytes are also at {paths}",
    "face_facts": "Face",
    "box": "box {left}, {top} to {right}, {bottom}",
    "detected_by": "detector {name}, score {score}",
    "number": "face_id {id}, run {run}",
    "gallery": "Faces",
    "side": "in a square of {n} pixels",
    "sharp": "sharpness {n}",
    "light": "mean grey level {n}",
    "pose": "yaw {yaw}°, pitch {pitch}°, roll {roll}°",
    "outside": "{n} of the box outside the picture",
    "spread": "landmark spread {n}",
    "faults": "poor: {words}",
    "no_faults": "no fault noticed",
    "nothing_to_judge": "Without its picture a face cannot be judged.",
    "not_judged": "its quality was not judged",
    "track_no": "track {n}",
    "of_track": "track {n} of {file}",
    "of_track_facts": "faces: {faces}; mean score highest for {label} ({score}){unsure}. The mean"
    " is over the frames analysed, and depends on them; no error rate was measured for such means.",
    "unsure": ", uncertain",
    "show_track": "Show the track's faces",
    "show_chart": "Show in the chart",
    "hashes": "File",
    "review_title": "Review",
    "review_said": "{verdict} by {who}, {at}",
    "confirmed": "confirmed",
    "rejected": "rejected",
    "relabelled": "relabelled as {label}",
    "confirm": "The highest class fits",
    "reject": "Not a face, or cannot be judged",
    "relabel": "Another class fits better:",
    "withdraw": "Withdraw the review",
    "review_note": "Note",
    "saved": "Saved",
    "saved_but": "Saved, but: {why}",
    "not_saved": "Not saved: {why}",
    "all_tracks": "Show all {n} tracks",
    "chart": "Highest score of each face over the recording, by track; the faces are in the gallery",
    "track_row": "track {n}, faces: {faces}",
    "no_track": "no track",
    "printing": "Printed below: {n} of the {all} faces that this page holds, sorted by: {sort}. Filters: {filters}.",
    "printing_cut": "{n} more match the filters; at most {most} are printed.",
    "no_filters": "none",
}

# A number stays on one line with what belongs to it.
for _texts in (TEXTS, SCRIPT):
    for _name, _text in _texts.items():
        _texts[_name] = _text.replace("95 %", "95\N{NO-BREAK SPACE}%").replace(
            "n = {n}", "n\u00a0=\u00a0{n}"
        )
