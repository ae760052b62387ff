"""The annotation formats that are known by name: what their files look like, which tasks read them, how to convert.

The files of some public sets are known by their names. The marks of any other format are regular expressions that are
all found in its files; of several formats the first counts. Marks of text files match whole lines (^ and $).
"""

NUMBER = r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?"


def _keys(*names: str) -> tuple[str, ...]:
    """Marks for the keys of JSON objects."""
    return tuple(rf'"(?:{name})"\s*:' for name in names)


# The end of the path of a file, or of a folder with "/" -> format.
FILES: dict[str, str] = {
    r"list_attr_celeba\.(txt|csv)": "CelebA's attributes",
    r"data_entry_2017\w*\.csv": "NIH ChestX-ray14's table",
    r"cifar-\d+-(batches-py|python)/\w+(\.meta)?": "CIFAR's pickles",
    r"[\w-]+-idx[13]-ubyte(\.gz)?": "MNIST's IDX files",
    r"(imagelabels|setid|cars(_\w+)?_annos(_\w+)?)\.mat": "MATLAB lists of classes",
    r"digitstruct\.mat": "SVHN's digitStruct",
    r"index_ade20k\.(pkl|mat)|ade_(train|val)_\d+_seg\.png": "ADE20K in full",
    r"[\w.-]+\.token(\.txt)?": "Flickr's token text",
    r"list_(category_img|attr_img|eval_partition|bbox)\.txt": "DeepFashion's lists",
    r"images_(variant|family|manufacturer)_\w+\.txt": "FGVC-Aircraft's lists",
    r"test/good/": "MVTec AD",
    r"imagesets/(2016|2017|480p|1080p)/(train|val)\.txt": "DAVIS's lists",
    r"celebamask-hq-mask-anno/": "CelebAMask-HQ",
}
_OBJECTS = r'"(bbox|bounding_box|points|polygon|objects|segmentation|xmin|box)"\s*:'
JSON: list[tuple[str, ...]] = [
    ("LabelMe JSON", *_keys("shapes", "imagePath|shape_type|points")),
    ("VIA (VGG Image Annotator) JSON", *_keys("shape_attributes")),
    ("VIA (VGG Image Annotator) JSON", *_keys("_via_img_metadata|_via_settings")),
    ("panoptic COCO JSON", *_keys("segments_info")),
    ("Label Studio JSON", *_keys("from_name", "to_name")),
    ("Label Studio JSON", *_keys("rectanglelabels|polygonlabels|brushlabels|keypointlabels")),
    ("Supervisely JSON", *_keys("classTitle", "points|bitmap|geometryType")),
    ("Supervisely JSON", *_keys("classes", "tags", "title", "shape")),
    ("Labelbox JSON", *_keys("Labeled Data|data_row|DataRow ID")),
    ("Hasty JSON", *_keys("export_format_version", "label_classes")),
    ("Azure ML JSON lines", *_keys("image_url", "label", "topX|polygon")),
    ("PaliGemma JSON lines", *_keys("image", "prefix", "suffix")),
    ("JSON lines of conversations", *_keys("messages", "role", "content")),
    ("TextCaps JSON", *_keys("caption_str", "reference_strs")),
    ("Visual Genome JSON", *_keys("synsets|merged_object_ids", "names?", "object_id")),
    ("FUNSD JSON", *_keys("form", "linking", "box")),
    ("TT100K JSON", *_keys("imgs", "objects", "bbox")),
    ("GeoJSON", *_keys("type", "geometry", "coordinates")),
    ("YouTube-VOS JSON", *_keys("videos", "objects", "frames")),
    ("Darwin JSON", *_keys("bounding_box|polygon"), r'darwin|"(?:annotations)"\s*:'),
    ("Create ML JSON", *_keys("coordinates", "annotations?", "label", "width", "height")),
    ("Cityscapes polygons JSON", *_keys("imgHeight", "imgWidth", "polygon")),
    ("BDD100K JSON", *_keys("box2d|poly2d")),
    ("VoTT JSON", *_keys("asset", "regions")),
    ("SageMaker Ground Truth manifest", *_keys("source-ref")),
    ("Vertex AI JSON lines", *_keys("imageGcsUri")),
    ("Datumaro JSON", *_keys("dm_format_version|items", "categories", "annotations")),
    ("FiftyOne JSON", *_keys("_cls"), r'"filepath"|"samples"|"detections"'),
    ("FiftyOne JSON", *_keys("classes", "labels", "bounding_box")),
    (
        "COCO JSON of whole pictures",
        r'(?s)\A(?!.*"(bbox|segmentation|caption|segments_info)")',
        *_keys("images", "annotations", "image_id", "category_id"),
    ),
    ("COCO JSON", *_keys("images", "annotations", "bbox|segmentation|categories")),
    ("COCO JSON", *_keys("image_id", "category_id", "bbox|segmentation", "file_name|categories")),
    ("COCO captions JSON", *_keys("images|annotations", "image_id", "caption")),
    ("COCO results JSON", *_keys("image_id", "category_id", "score")),
    ("JSON lines with objects (Hugging Face)", *_keys("file_name", "objects")),
    ("Karpathy JSON of captions", *_keys("sentences", "raw", "filename")),
    ("LLaVA JSON of conversations", *_keys("conversations", "from", "value")),
    ("captions in JSON lines", *_keys("file_name|image|path", "text|caption")),
    (
        "classes in JSON lines",
        rf"(?s)\A(?!.*{_OBJECTS})",
        *_keys("file_name|image|path", "label|labels|class|category"),
    ),
    ("JSON of boxes", *_keys("xmin", "ymin", "xmax", "ymax")),
]
XML: list[tuple[str, ...]] = [
    ("CVAT XML (video)", r"<annotations\b", r"<track\s"),
    ("CVAT XML (images)", r"<annotations\b", r"<image\s[^<>]*\bname="),
    ("VOC XML", r"<annotation\b", r"<bndbox\b"),
    ("LabelMe XML", r"<annotation\b", r"<(polygon|pt)\b"),
    ("VOC XML", r"<annotation\b", r"<(size|filename)\b"),
    ("dlib XML", r"<dataset\b", r"<image\s[^<>]*\bfile="),
    ("ImageScope XML", r"<Annotations\b", r"<Vert(ices|ex)\b"),
    ("PAGE XML", r"<(\w{1,9}:)?PcGts\b"),
    ("ALTO XML", r"<(\w{1,9}:)?alto\b"),
]
# Files without a suffix.
PLAIN: list[tuple[str, ...]] = [("VOC XML without a suffix", r"\A\s*(<\?[^>]*>\s*)?<annotation\b", r"<bndbox\b")]
HEADER = r"\A[^\n]*"
_FILE, _CLASS = (rf"(?i:\b(?:{names})\b)" for names in ("file_?name|image(_?(id|name|path))?", "class(_?name)?|label"))
CSV: list[tuple[str, ...]] = [
    ("OpenImages CSV", HEADER + r"\bImageID\b", HEADER + r"\b(XMin|BoxID|LabelName|MaskPath)\b"),
    ("VIA (VGG Image Annotator) CSV", HEADER + "region_shape_attributes"),
    ("pixels in a table", HEADER + r"(?i:\bpixels?\d*\b)"),
    ("CSV of run lengths", r"\A[^\n]*\n([^\n]*,)?[0-9]+ [0-9]+( [0-9]+ [0-9]+)+(,|\r?$)"),
    ("CSV of run lengths", HEADER + r"(?i:encoded_?pixels|\brle\b|run_?length)"),
    (
        "CSV of boxes (TensorFlow)",
        rf"\A(?![^\n]*(?i:score|confidence))[^\n]*{_FILE}",
        rf"{HEADER}{_CLASS}",
        *(rf"{HEADER}(?i:\b{side}_?{end}\b)" for side in "xy" for end in ("min", "max")),
    ),
    (
        "CSV of boxes (global wheat)",
        r"\A(image_id|width|height|source|bbox|,)*\r?\n",
        r"\A(?=[^\n]*image_id)[^\n]*bbox",
    ),
    ("CSV of boxes (Kaggle)", HEADER + r"(?i:\bx_?min|\bxtl\b|\bx[01]\b|\bbbox|bounding_?box|\bbox_)"),
    (
        "CSV of boxes (Kaggle)",
        HEADER + r"(?i:\bx\b)",
        HEADER + r"(?i:\by\b)",
        HEADER + r"(?i:\bw(idth)?\b)",
    ),
    (
        "pictures and masks in a table",
        HEADER + r"(?i:image|picture|file_?name|path)",
        HEADER + r"(?i:\b(mask|masks|mask_?path|annotation)\b)",
    ),
    ("captions with addresses", r"\A[^\n]*\thttps?://"),
    ("AutoML CSV", r"\A(TRAIN|VALIDATION|TEST|UNASSIGNED),gs://[^\n,]+,[^\n,]*,[0-9]"),
    ("captions in a table", HEADER + r"(?i:file_?name|\bimage|\bpath)", HEADER + r"(?i:\b(caption|text)\b)"),
    ("classes in a table", HEADER + r"(?i:file_?name|image|path|\bid)", HEADER + r"(?i:label|class|categor|target)"),
    (
        "CSV of boxes (RetinaNet)",
        rf"\A([^\n,;]+\.\w{{3,4}}[,;]{{5}}\r?\n)*[^\n,;]+\.\w{{3,4}}[,;]({NUMBER}[,;]){{4}}[^\n,;]+\r?$",
    ),
]
TEXT: list[tuple[str, ...]] = [
    ("DOTA text", r"\A\s*(imagesource|gsd)[ \t]*:"),
    ("DOTA text", rf"\A\s*({NUMBER}[ \t]+){{8}}[^\W\d][\w-]*([ \t]+[0-2])?[ \t\r]*$"),
    ("KITTI tracking text", rf"\A\s*[0-9]+[ \t]+-?[0-9]+[ \t]+[^\W\d]\w*([ \t]+{NUMBER}){{14,15}}[ \t\r]*$"),
    ("KITTI text", rf"\A\s*[^\W\d][\w-]*([ \t]+{NUMBER}){{14,15}}[ \t\r]*$"),
    # Each line begins with the number of a picture, and a box is in pixels.
    ("CUB text", rf"\A1(?=[^\n]*[ \t][0-9]{{2,}}\.)([ \t]+{NUMBER}){{4}}[ \t\r]*\n2([ \t]+{NUMBER}){{4}}[ \t\r]*$"),
    ("YOLO text", rf"\A\s*[0-9]+(\.0*)?([ \t]+{NUMBER}){{4,}}[ \t\r]*$"),
    ("MOT text", rf"\A\s*[0-9]+[ \t]*,[ \t]*-?[0-9]+([ \t]*,[ \t]*{NUMBER}){{7,8}}[ \t\r]*$"),
    ("VisDrone text", rf"\A\s*({NUMBER}[ \t]*,[ \t]*){{7}}{NUMBER},?[ \t\r]*$"),
    ("ICDAR text", rf"\A\s*({NUMBER}[ \t]*,[ \t]*){{8}}\S"),
    ("ICDAR text", rf"\A\s*({NUMBER}[ \t]*,[ \t]*){{4}}\S"),
    ("NWPU VHR-10 text", rf"\A\s*(\(\s*{NUMBER}\s*,\s*{NUMBER}\s*\)\s*,\s*){{2}}[0-9]+[ \t\r]*$"),
    ("PASCAL text of version 1", r"\A\s*#[^\n]*PASCAL Annotation Version 1"),
    ("PaddleOCR text", r"\A\S+\t\[\{"),
    ("text of boxes behind their number", rf"\A\s*[0-9]+[ \t\r]*\n[0-9]+([ \t]+{NUMBER}){{4}}[ \t\r]*$"),
    ("text of boxes behind file names", rf"\A\S+\.\w{{3,4}}[ \t,;]+{NUMBER}([ \t]*[ \t,;]{NUMBER}){{3,4}}"),
    ("WIDER FACE text", rf"\A\S+\.\w{{3,4}}[ \t\r]*\n[0-9]+[ \t\r]*\n({NUMBER}[ \t]+){{3,}}"),
]
# suffix -> format; never opened
BINARY = {
    ".tfrecord": "TFRecord",
    ".tfrecords": "TFRecord",
    ".record": "TFRecord",
    ".mat": "MATLAB annotations",
    ".odgt": "ODGT",
    ".parquet": "Parquet",
    ".arrow": "Arrow",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".tar": "archives in the set",
    ".zip": "archives in the set",
}

# Formats of sets whose folders and lists are sequences, events, splits or attributes, and never classes.
NO_CLASSES = (
    "CelebA's attributes", "CelebAMask-HQ", "DeepFashion's lists", "KITTI tracking text", "MOT text",
    "NIH ChestX-ray14's table", "NWPU VHR-10 text", "WIDER FACE text",
)  # fmt: skip
# Formats of sets whose masks number the objects of each picture.
OBJECT_NUMBERS = ("DAVIS's lists", "PASCAL text of version 1", "YouTube-VOS JSON")
# Formats of sets in which a folder holds the frames of one video.
VIDEOS = ("DAVIS's lists", "YouTube-VOS JSON")
_EXPORT = "export it as COCO JSON"
_SEVERAL = (
    "it is multi-label, and one class a picture is learned: write a CSV with the columns file_name and label, for one "
    "of its classes"
)
_DATUM = "`datum convert -if {} -i SET -f coco -o OUT -- --save-media` (datumaro[cli]) makes COCO JSON of it"
_EXPORTED = (
    "Labelbox JSON", "SageMaker Ground Truth manifest", "Vertex AI JSON lines", "JSON of an unknown kind", "PAGE XML",
    "ALTO XML", "VisDrone text", "ICDAR text", "Hasty JSON", "Azure ML JSON lines", "GeoJSON", "Visual Genome JSON",
    "TT100K JSON", "JSON of boxes", "NWPU VHR-10 text", "text of boxes behind their number",
    "AutoML CSV", "KITTI tracking text", "SVHN's digitStruct",
)  # fmt: skip
# format -> tasks that read it, and the advice for the others
FORMATS: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(_EXPORTED, ((), _EXPORT)),
    "COCO JSON": (("detect", "segment"), ""),
    "COCO captions JSON": (("match",), ""),
    "COCO JSON of whole pictures": (("classify",), ""),
    "captions in JSON lines": (("match",), ""),
    "captions in a table": (("match",), ""),
    "classes in JSON lines": (("classify",), ""),
    "classes in a table": (("classify",), ""),
    "VOC XML": (("detect",), ""),
    "YOLO text": (("detect", "segment"), ""),
    "CVAT XML (images)": (("detect", "segment"), ""),
    "LabelMe JSON": (("detect", "segment"), ""),
    "CVAT XML (video)": ((), "export it from CVAT as COCO 1.0 or YOLO, which writes the frames as pictures"),
    "VIA (VGG Image Annotator) JSON": ((), "VIA's menu Annotation exports COCO JSON"),
    "VIA (VGG Image Annotator) CSV": ((), "VIA's menu Annotation exports COCO JSON"),
    "panoptic COCO JSON": ((), "its instances as COCO JSON, or one mask a picture, are read"),
    "Label Studio JSON": ((), "Label Studio's menu Export writes COCO, YOLO and Pascal VOC"),
    "Supervisely JSON": ((), "Supervisely's app 'Export to COCO' writes COCO JSON"),
    "Darwin JSON": ((), "`darwin dataset convert SET coco` (darwin-py) makes COCO JSON of it"),
    "Create ML JSON": ((), "its centres and sizes are to be written as COCO JSON"),
    "Cityscapes polygons JSON": ((), "its masks (labelTrainIds, labelIds) are read by `saccade train segment`"),
    "BDD100K JSON": ((), "`python -m bdd100k.label.to_coco` makes COCO JSON of it"),
    "VoTT JSON": ((), "export it from VoTT as Pascal VOC"),
    "Datumaro JSON": ((), _DATUM.format("datumaro")),
    "FiftyOne JSON": ((), "export it with fiftyone.types.COCODetectionDataset"),
    "COCO results JSON": ((), "detections are no annotations; the COCO file with images and categories is read"),
    "JSON lines with objects (Hugging Face)": ((), "its objects are to be written as COCO JSON"),
    "LabelMe XML": ((), _DATUM.format("label_me")),
    "dlib XML": ((), "its boxes (left, top, width, height) are to be written as COCO JSON"),
    "ImageScope XML": ((), "its outlines are to be drawn as one mask a picture, or written as COCO JSON"),
    "XML of an unknown kind": ((), "convert it to Pascal VOC XML or COCO JSON"),
    "Karpathy JSON of captions": ((), "write its sentences as a table with the columns file_name and caption"),
    "LLaVA JSON of conversations": ((), "write its answers as a table with the columns file_name and caption"),
    "pictures and masks in a table": ((), "give each mask the name of its picture, in masks/ beside images/"),
    "OpenImages CSV": ((), _DATUM.format("open_images")),
    "CSV of run lengths": ((), "its run lengths are to be written as one mask a picture, or as COCO JSON"),
    "CSV of boxes (TensorFlow)": (("detect",), ""),
    "CSV of boxes (global wheat)": (("detect",), ""),
    "CSV of boxes (Kaggle)": (
        (),
        "whether its numbers are corners or sizes is not known: write its rows as COCO JSON, or as YOLO's labels",
    ),
    "VOC XML without a suffix": ((), "give its files the suffix .xml, by which they are read (Stanford Dogs)"),
    "CSV of boxes (RetinaNet)": (("detect",), ""),
    "DOTA text": ((), "its corners are to be written as upright boxes in COCO JSON"),
    "KITTI text": ((), _DATUM.format("kitti")),
    "MOT text": ((), _DATUM.format("mot_seq")),
    "CUB text": ((), "its boxes, of the pictures numbered in images.txt, are to be written as COCO JSON"),
    "text of boxes behind file names": ((), "its boxes are to be written as COCO JSON, or as YOLO's labels"),
    "WIDER FACE text": ((), _DATUM.format("wider_face")),
    "TFRecord": ((), "write its records as pictures and COCO JSON"),
    "ODGT": ((), "the fbox (x, y, width, height) of its lines' gtboxes are to be written as COCO JSON"),
    "MATLAB annotations": ((), "write its annotations as COCO JSON, or as one mask a picture"),
    "Parquet": ((), "write its rows as pictures and COCO JSON; `datasets` reads it"),
    "archives in the set": ((), "give one of them (.tar, .zip), or unpack them, those of WebDataset into one folder"),
    "CelebA's attributes": ((), _SEVERAL),
    "NIH ChestX-ray14's table": ((), _SEVERAL),
    "CIFAR's pickles": ((), "reading a pickle runs the code in it; write its pictures in a folder for each class"),
    "MNIST's IDX files": ((), "write its pictures in a folder for each class"),
    "MATLAB lists of classes": ((), "write them as a CSV with the columns file_name and label"),
    "ADE20K in full": ((), "the masks of its scene parsing benchmark (ADEChallengeData2016) are read"),
    "Flickr's token text": ((), "write it as captions.txt with the header image,caption"),
    "DeepFashion's lists": ((), "write the list that is meant as a CSV with the columns file_name, label and split"),
    "FGVC-Aircraft's lists": ((), "give a list instead of the folder: --data images_variant_train.txt"),
    "DAVIS's lists": (("segment",), ""),
    "MVTec AD": ((), "give test/ of one product for its kinds of defects, or name its ground_truth/ masks/ to segment"),
    "pixels in a table": ((), "write its rows as pictures in a folder for each class"),
    "CelebAMask-HQ": ((), "draw the masks of each picture into one of its name, in masks/ beside images/"),
    "PaliGemma JSON lines": ((), "write its boxes (loc tokens, in 1024ths of a side) as COCO JSON"),
    "JSON lines of conversations": ((), "write its answers as a table with the columns file_name and caption"),
    "TextCaps JSON": ((), "write its caption_str as a table with the columns file_name and caption"),
    "FUNSD JSON": ((), "its boxes are to be written as COCO JSON"),
    "YouTube-VOS JSON": (("segment",), ""),
    "captions with addresses": ((), "fetch the pictures with img2dataset, whose folders are read"),
    "PASCAL text of version 1": ((), "its boxes are to be written as COCO JSON"),
    "PaddleOCR text": ((), "text in pictures is not learned; its corners may be written as boxes in COCO JSON"),
    "pickle": ((), "reading a pickle runs the code in it; write its annotations as COCO JSON"),
    "Arrow": ((), "write its rows as pictures and COCO JSON; `datasets` reads it"),
}
